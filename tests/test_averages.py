from __future__ import annotations

import pytest
import torch
from torch import nn

from textgan.averages import LossAverages, WeightAverages


def test_two_players_of_the_same_weights_share_an_average_that_both_move():
    weight = nn.Parameter(torch.zeros(()))
    averages = WeightAverages({"pretraining": [weight], "game": [weight]}, decay=0.5)
    expected = None
    for player, value in (("pretraining", 1.0), ("game", 2.0), ("pretraining", 4.0)):
        weight.data.fill_(value)
        averages.update(player)
        expected = value if expected is None else 0.5 * expected + 0.5 * value
    with averages.applied():
        assert weight.item() == expected
    assert weight.item() == 4.0


def test_weights_come_back_when_an_error_passes():
    weight = nn.Parameter(torch.ones(()))
    averages = WeightAverages({"player": [weight]}, decay=0.5)
    averages.update("player")
    weight.data.fill_(3.0)

    def fail_inside() -> None:
        with averages.applied():
            assert weight.item() == 1.0
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail_inside()
    assert weight.item() == 3.0


def test_a_decay_of_zero_keeps_no_average():
    weight = nn.Parameter(torch.ones(()))
    averages = WeightAverages({"player": [weight]}, decay=0.0)
    averages.update("player")
    assert averages.state_dict() == {}
    with averages.applied():
        assert weight.item() == 1.0


def test_loss_averages_are_means_over_each_players_steps_and_are_taken_once():
    losses = LossAverages()
    for value in (1.0, 2.0, 6.0):
        losses.add("one", {"a": torch.tensor(value)})
    losses.add("two", {"a": torch.tensor(5.0), "b": torch.tensor(7.0)})
    taken = losses.take()
    assert {player: {k: v.item() for k, v in means.items()} for player, means in taken.items()} == {
        "one": {"a": 3.0}, "two": {"a": 5.0, "b": 7.0}
    }  # fmt: skip
    assert losses.take() == {}


def test_a_term_that_only_some_of_a_players_steps_have_is_averaged_over_these():
    losses = LossAverages()
    losses.add("generator", {"nll": torch.tensor(3.0), "gradient_norm": torch.tensor(1.0)})
    losses.add("generator", {"reward": torch.tensor(0.5), "gradient_norm": torch.tensor(2.0)})
    losses.add("generator", {"reward": torch.tensor(0.7), "gradient_norm": torch.tensor(6.0)})
    found = {name: value.item() for name, value in losses.take()["generator"].items()}
    assert found == pytest.approx({"nll": 3.0, "reward": 0.6, "gradient_norm": 3.0})
