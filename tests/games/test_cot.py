"""What makes CoT itself: its gradient, summed over all sentences of a small world, against the exact divergence."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from tests.policies import ENDING, FIXED, sentences
from tests.tables import TableGenerator, gradient, table_of
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.cot import TINY, Config, CoT, MediatorConfig, divergences
from textgan.networks.generators import GeneratorConfig

TURN = Turn("cooperative", 0, 0.0)
every_world = pytest.mark.parametrize("spec", [ENDING, FIXED], ids=["ending", "fixed"])


def world(spec, prefixes: str) -> tuple[CoT, Tensor]:
    """A game whose mediator is exactly the mixture of its generator and of data; the data's probabilities."""
    game = CoT(dataclasses.replace(TINY, prefixes=prefixes), spec)
    game.generator = TableGenerator(spec, seed=1)
    data = TableGenerator(spec, seed=2).probabilities().detach()
    game.mediator = table_of(spec, (data + game.generator.probabilities().detach()) / 2)
    return game, data


def expected_gradient(game: CoT) -> Tensor:
    """Of the game's own loss of one sentence, over all that the generator may say."""
    p, total = game.generator.probabilities().detach(), torch.zeros(())
    for row, weight in zip(sentences(game.spec), p, strict=True):
        game.sample = lambda n, row=row: row[None]
        total = total + weight * sum(game._cooperate(row[None], TURN).terms.values())
    return gradient(total, game.generator)


def twice_jsd(p: Tensor, data: Tensor) -> Tensor:
    middle = (p + data) / 2
    return (data * (data / middle).log()).sum() + (p * (p / middle).log()).sum()


@every_world
def test_with_prefixes_credited_the_expected_gradient_is_that_of_twice_the_jsd(spec):
    game, data = world(spec, "credited")
    exact = gradient(twice_jsd(game.generator.probabilities(), data), game.generator)
    assert exact.abs().max() > 0.01
    torch.testing.assert_close(expected_gradient(game), exact, rtol=1e-5, atol=1e-6)


@every_world
def test_without_them_it_is_that_gradient_less_the_prefixes_part(spec):
    """The prefixes' part is the gradient of E_p sum_t K_t by the probabilities of prefixes alone, K held fixed."""
    game, data = world(spec, "dropped")
    exact = gradient(twice_jsd(game.generator.probabilities(), data), game.generator)
    generator, every = game.generator, sentences(spec)
    mask = every != spec.pad
    log_p = generator.vocabulary(generator.outputs(every)).log_softmax(-1)[mask]
    log_m = game.mediator.vocabulary(game.mediator.outputs(every)).log_softmax(-1)[mask]
    fixed = torch.zeros(every.shape, dtype=torch.float64).masked_scatter(mask, divergences(log_p, log_m).detach())
    log_prefix = generator.log_probs(every).cumsum(1).roll(1, 1)
    log_prefix[:, 0] = 0
    # p(y) = p(prefix) p(rest): differentiate the first factor only.
    p = generator.probabilities().detach()
    of_prefixes = (p[:, None] * log_prefix * fixed).sum()
    prefixes = gradient(of_prefixes, generator)
    assert prefixes.abs().max() > 1e-3
    torch.testing.assert_close(expected_gradient(game), exact - prefixes, rtol=1e-5, atol=1e-6)


@every_world
def test_there_is_no_gradient_where_the_generator_is_the_data(spec):
    for prefixes in ("dropped", "credited"):
        game, _ = world(spec, prefixes)
        game.mediator = table_of(spec, game.generator.probabilities().detach())
        assert expected_gradient(game).abs().max() < 1e-6


def test_the_divergence_is_over_the_whole_vocabulary_and_skips_what_cannot_be_said():
    p, m = torch.tensor([[0.5, 0.25, 0.25, 0.0]]), torch.tensor([[0.25, 0.25, 0.5, 0.0]])
    by_hand = 0.5 * torch.tensor(2.0).log() + 0.25 * torch.tensor(0.5).log()
    torch.testing.assert_close(divergences(p.log(), m.log()), by_hand[None])
    logits = torch.tensor([[0.3, -0.2, -torch.inf]], requires_grad=True)
    divergences(logits.log_softmax(-1), torch.tensor([[0.1, 0.2, -torch.inf]]).log_softmax(-1)).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@every_world
def test_the_mediator_learns_the_mixture(spec):
    """On all sentences at their rates, half of them the data's, its loss is least at the exact mixture."""
    game, data = world(spec, "dropped")
    every, p = sentences(spec), game.generator.probabilities().detach()
    total = torch.zeros((), dtype=torch.float64)
    tokens = (every != spec.pad).sum(1)
    for row, n, of_data, of_p in zip(every, tokens, data, p, strict=True):
        game.sample = lambda n, row=row: row[None]
        loss = game._mediate(row[None], TURN).terms["nll"]  # of twice the same sentence, per token
        total = total + (of_data + of_p) * loss * n
    assert gradient(total, game.mediator).abs().max() < 1e-6


def test_the_mediators_loss_is_per_token_of_real_and_own_sentences_together():
    game, _ = world(ENDING, "dropped")
    real, own = torch.tensor([[3, 2, 0], [2, 0, 0]]), torch.tensor([[3, 4, 4], [4, 3, 2]])
    game.sample = lambda n: own[:n]
    expected = -(game.mediator.log_probs(real).sum() + game.mediator.log_probs(own).sum()) / 9
    torch.testing.assert_close(game._mediate(real, TURN).terms["nll"], expected)


def test_the_generator_is_judged_with_dropout_off():
    config = dataclasses.replace(TINY, generator=GeneratorConfig(embedding=8, hidden=8, dropout=0.9))
    game = CoT(config, ENDING).train()
    row = torch.tensor([[3, 4, 2]])
    game.sample = lambda n: row
    first, second = (game._cooperate(row, TURN).terms["divergence"] for _ in range(2))
    assert torch.equal(first, second)


def test_the_defaults_are_the_papers():
    config = Config()
    assert config.pretraining.epochs == 0
    assert (config.mediator.hidden, config.mediator.dropout, config.mediator.learning_rate) == (64, 0.5, 3e-3)
    optimizer = CoT(config, ENDING).optimizers()["generator"]
    assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (1e-3, (0.9, 0.95))


def test_a_mediator_that_cannot_be_built_is_refused_by_its_name():
    with pytest.raises(UserError, match=r"game.mediator.hidden is 0; it must be at least 1"):
        MediatorConfig(hidden=0)
    with pytest.raises(UserError, match=r"game.mediator.kind is 'hf:x'; it must be lstm or"):
        MediatorConfig(kind="hf:x")
