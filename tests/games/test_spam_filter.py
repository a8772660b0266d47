"""What makes the spammer and the filter: who must pass, who is rewarded for what, and the confusion matrix."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textgan.data.labelled import LabelledBatch
from textgan.data.spec import LabelledSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.spam_filter import TINY, Config, SpamFilter, guarded_category
from textgan.networks.modes import evaluating
from textgan.reproducibility import seed_everything

SMS = LabelledSpec(vocab_size=12, length=7, train_size=40, categories=("ham", "spam"))
MANY = LabelledSpec(vocab_size=12, length=7, train_size=40, categories=("ads", "ham", "scams"))
TURN = Turn("adversarial", 0, 0.0)


def batch(categories: list[int]) -> LabelledBatch:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(4, 12, (len(categories), 7), generator=generator)
    for row in range(len(tokens)):
        tokens[row, 2 + row % 5] = 2
        tokens[row, 3 + row % 5 :] = 0
    return LabelledBatch(tokens, torch.tensor(categories))


def _game(spec: LabelledSpec = SMS, **changes) -> SpamFilter:
    seed_everything(0)
    game = SpamFilter(dataclasses.replace(TINY, **changes), spec)
    with torch.no_grad():
        for parameter in game.opponent.network.output.parameters():
            parameter.normal_(std=2)
        game.opponent.refill(game._spam)
    return game


def fakes(game: SpamFilter, n: int) -> Tensor:
    """Those that the filter sees next."""
    return game.opponent.pool.items[:n].long()


def test_ham_is_guarded_or_the_first_category_or_what_is_asked_for():
    assert guarded_category(None, ("ads", "ham", "scams")) == 1
    assert guarded_category(None, ("ads", "scams")) == 0
    assert guarded_category("scams", ("ads", "ham", "scams")) == 2
    with pytest.raises(UserError, match=r"game.guarded is 'eggs'; it must be one of the categories: ham, spam$"):
        SpamFilter(Config(guarded="eggs"), SMS)


def test_the_filters_loss_weighs_the_three_kinds_and_guards_ham():
    game, real = _game(guard=3.0), batch([0, 1, 0, 1, 1, 0])
    game.eval()
    loss = game.opponent.loss(real, TURN)
    with torch.no_grad():
        of_real, of_fake = game.opponent.network(real.tokens), game.opponent.network(fakes(game, 6))
    ham, spam = of_real[real.category == 0], of_real[real.category == 1]
    expected = {
        "real ham": 3 / 5 * F.softplus(-ham).mean(),
        "real spam": 1 / 5 * F.softplus(spam).mean(),
        "generated spam": 1 / 5 * F.softplus(of_fake).mean(),
    }
    for name, value in expected.items():
        torch.testing.assert_close(loss.terms[name], value)
    torch.testing.assert_close(loss.terms["l2"], game.config.discriminator.l2 * game.opponent.network.output_penalty())
    assert set(loss.terms) == {*expected, "l2"}


def test_the_confusion_matrix_is_the_share_of_each_kind_that_is_stopped():
    game, real = _game(), batch([0, 1, 0, 1, 1, 0])
    game.train()
    info = game.opponent.loss(real, TURN).info
    with evaluating(game), torch.no_grad():
        of_real, of_fake = game.opponent.network(real.tokens), game.opponent.network(fakes(game, 6))
    assert {name: value.item() for name, value in info.items()} == pytest.approx(
        {
            "stopped/real ham": (of_real[real.category == 0] < 0).float().mean().item(),
            "stopped/real spam": (of_real[real.category == 1] < 0).float().mean().item(),
            "stopped/generated spam": (of_fake < 0).float().mean().item(),
        }
    )


def test_a_kind_that_is_not_in_the_batch_has_no_share_and_costs_nothing():
    loss = _game().opponent.loss(batch([0, 0, 0]), TURN)
    assert set(loss.info) == {"stopped/real ham", "stopped/generated spam"}
    assert loss.terms["real spam"].item() == 0


def test_with_many_categories_all_but_the_guarded_one_are_stopped_together():
    game, real = _game(MANY), batch([0, 1, 2, 1, 0, 2])
    loss = game.eval().opponent.loss(real, TURN)
    assert set(loss.info) == {"stopped/real ham", "stopped/real others", "stopped/generated others"}
    with torch.no_grad():
        others = game.opponent.network(real.tokens[real.category != 1])
    torch.testing.assert_close(loss.terms["real others"], F.softplus(others).mean() / 4)


def test_the_spammer_writes_every_category_but_the_guarded_one():
    assert _game(SMS)._wanted(4).tolist() == [1, 1, 1, 1]
    assert _game(MANY)._wanted(5).tolist() == [0, 2, 0, 2, 0]
    assert _game(MANY, guarded="scams")._wanted(4).tolist() == [0, 1, 0, 1]


def test_the_spammer_is_rewarded_for_what_passes_and_kept_to_real_messages():
    game, real = _game(MANY, likelihood=0.3), batch([0, 1, 2, 1])
    game.eval()
    seed_everything(4)
    loss = game._evade(real, TURN)
    seed_everything(4)
    wanted = torch.tensor([0, 2, 0, 2])
    tokens = game._write(wanted)
    with torch.no_grad():
        passes = game.opponent.network(tokens).sigmoid()
    others = (passes.sum() - passes) / 3
    condition = F.one_hot(wanted, 3).float()
    log_p = game.generator.log_probs(tokens, condition=condition)
    # The baseline of a word is the mean reward of the other messages that are as long.
    mask = (tokens != 0).float()
    counts = mask.sum(0) - mask
    means = ((passes[:, None] * mask).sum(0) - passes[:, None] * mask) / counts.clamp(min=1)
    by_hand = -((passes[:, None] - means) * mask * log_p).sum() / 4
    torch.testing.assert_close(means[:, 0], others)
    torch.testing.assert_close(loss.terms["policy_gradient"], by_hand)
    of_real = game.generator.log_probs(real.tokens, condition=F.one_hot(real.category, 3).float())
    torch.testing.assert_close(loss.terms["likelihood"], -0.3 * of_real.sum() / 4)
    torch.testing.assert_close(loss.info["reward"], passes.mean())


def test_without_its_weight_there_is_no_likelihood():
    assert set(_game(likelihood=0.0)._evade(batch([0, 1]), TURN).terms) == {"policy_gradient"}


def test_samples_are_of_the_category_asked_for_the_guarded_one_too():
    game = _game().eval()
    with torch.no_grad():  # all that it knows is the category
        game.generator.embedding.weight.zero_()
        game.generator.condition.weight.normal_(std=30)
    alone = [game.sample(1, temperature=1e-4, category=k) for k in (0, 1)]
    assert not torch.equal(*alone)
    assert torch.equal(game.sample(3, temperature=1e-4), torch.cat([*alone, alone[0]]))


def test_the_likelihood_is_that_of_messages_given_their_categories():
    game, real = _game().eval(), batch([0, 1, 1])
    log_p = game.generator.log_probs(real.tokens, condition=F.one_hot(real.category, 2).float())
    expected = -log_p.sum() / (real.tokens != 0).sum()
    torch.testing.assert_close(game.likelihood(real, TURN).terms["nll"], expected)
