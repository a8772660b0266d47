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


def test_a_weight_that_another_player_moves_among_others_has_one_average():
    """As where an autoencoder is schooled whose halves play against each other later."""
    encoder, decoder = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))
    averages = WeightAverages({"both": [encoder, decoder], "one": [decoder]}, decay=0.5)
    for player, value in (("both", 1.0), ("one", 3.0)):
        for weight in (encoder, decoder) if player == "both" else (decoder,):
            weight.data.fill_(value)
        averages.update(player)
    with averages.applied():
        assert (encoder.item(), decoder.item()) == (1.0, 2.0)


def test_the_average_begins_anew_with_a_weight_that_is_written_to_between_steps():
    written, left = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))
    averages = WeightAverages({"a": [written], "b": [left]}, decay=0.5)
    for value in (1.0, 2.0):
        for player, weight in (("a", written), ("b", left)):
            weight.data.fill_(value)
            averages.update(player)
    with averages.followed(), torch.no_grad():
        written.copy_(torch.tensor(7.0))
    with averages.applied():
        assert (written.item(), left.item()) == (7.0, 1.5)


def test_averages_come_back_from_their_state():
    def some() -> tuple[WeightAverages, list[nn.Parameter]]:
        weights = [nn.Parameter(torch.zeros(())) for _ in range(2)]
        return WeightAverages({"a": weights[:1], "b": weights[1:]}, decay=0.5), weights

    averages, weights = some()
    for value in (1.0, 2.0):
        weights[1].data.fill_(value)
        averages.update("b")
    again, others = some()
    again.load_state_dict(averages.state_dict())
    with again.applied():
        assert [weight.item() for weight in others] == [0.0, 1.5]
    others[1].data.fill_(2.5)
    again.update("b")
    with again.applied():
        assert others[1].item() == 2.0
    with averages.applied():
        assert weights[1].item() == 1.5  # its own, not shared with the copy


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
