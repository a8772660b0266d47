"""What makes DGSAN itself: its optimum, by enumeration of a small world."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from tests.policies import ENDING, FIXED, TablePolicy, sentences
from textgan.game import Act, Turn
from textgan.games.dgsan import DGSAN, TINY
from textgan.networks.modes import evaluating
from textgan.reproducibility import seed_everything
from textgan.sampling import sample

TURN = Turn("adversarial", 0, 0.0)
every_world = pytest.mark.parametrize("spec", [FIXED, ENDING], ids=["fixed", "ending"])
every_ratio = pytest.mark.parametrize("ratio", ["token", "sentence"])


def _world(spec, ratio: str, old: int = 1) -> DGSAN:
    """A game of free tables: q of seed 0, q_old of seed `old`."""
    seed_everything(0)
    game = DGSAN(dataclasses.replace(TINY, ratio=ratio), spec)
    game.generator, game.old = TablePolicy(spec), TablePolicy(spec, seed=old)
    return game


def _exact_loss(game: DGSAN, data: torch.Tensor) -> torch.Tensor:
    """The game's loss, each sentence there is weighed by its probability: `data`, and that of the old generator."""
    every = sentences(game.spec)
    ratio = game._log_ratio(every).double()
    old = game.old.log_probs(every).sum(1).exp().detach()

    def mean(p: torch.Tensor, ratio: torch.Tensor) -> torch.Tensor:
        costs = [game._cost(ratio[b : b + 1], every[b : b + 1]) for b in range(len(every))]
        return (p * torch.stack(costs)).sum()

    return mean(data, -ratio) + mean(old, ratio)


def _probabilities(spec, seed: int) -> torch.Tensor:
    return TablePolicy(spec, seed).log_probs(sentences(spec)).sum(1).exp().detach()


def _minimise(game: DGSAN, data: torch.Tensor, steps: int = 200, epochs: int = 1) -> torch.Tensor:
    """The new generator's probabilities in the end; the old one is renewed before every epoch but the first."""
    for epoch in range(epochs):
        if epoch:
            game._renew(TURN)
        optimizer = torch.optim.LBFGS(game.generator.parameters(), max_iter=steps, line_search_fn="strong_wolfe")

        def closure(optimizer=optimizer) -> torch.Tensor:
            optimizer.zero_grad()
            loss = _exact_loss(game, data)
            loss.backward()
            return loss

        optimizer.step(closure)
    return game.generator.log_probs(sentences(game.spec)).sum(1).exp().detach()


@every_world
def test_by_sentences_the_optimum_is_the_data_whatever_the_old_generator_is(spec):
    data = _probabilities(spec, seed=2)
    found = _minimise(_world(spec, "sentence"), data)
    torch.testing.assert_close(found, data, rtol=1e-2, atol=1e-4)


@every_world
def test_by_tokens_renewing_the_old_generator_leads_to_the_data(spec):
    data = _probabilities(spec, seed=2)
    game = _world(spec, "token")
    once = _minimise(game, data, steps=50)
    assert (once - data).abs().max() > 1e-3  # not the optimum yet: the old generator's prefixes are not the data's
    found = _minimise(game, data, steps=50, epochs=6)
    torch.testing.assert_close(found, data, rtol=1e-2, atol=1e-4)


@every_world
@every_ratio
def test_the_game_rests_where_both_generators_are_the_data(spec, ratio):
    game = _world(spec, ratio, old=0)
    loss = _exact_loss(game, _probabilities(spec, seed=0))
    (gradient,) = torch.autograd.grad(loss, game.generator.table)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-7)


@every_world
@every_ratio
def test_as_an_epoch_begins_the_gradient_is_half_that_of_the_likelihood(spec, ratio):
    game, data = _world(spec, ratio, old=0), _probabilities(spec, seed=2)
    (found,) = torch.autograd.grad(_exact_loss(game, data), game.generator.table)
    likelihood = -(data * game.generator.log_probs(sentences(spec)).sum(1)).sum()
    (expected,) = torch.autograd.grad(likelihood / 2, game.generator.table)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])
@every_ratio
def test_the_loss_is_that_of_a_discriminator_q_over_q_plus_q_old_on_real_and_old_fakes(spec, ratio):
    seed_everything(0)
    game, real = DGSAN(dataclasses.replace(TINY, ratio=ratio), spec), _sentences(spec)[:5]
    with torch.no_grad():
        for parameter in game.generator.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    game.eval()
    seed_everything(3)
    loss = game._learn(real, TURN)
    seed_everything(3)
    fake = sample(game.old, spec, 5)

    def by_hand(tokens: torch.Tensor, real: bool) -> float:
        total = 0.0
        new, old = (network.log_probs(tokens).detach() for network in (game.generator, game.old))
        for b in range(5):
            places = [t for t in range(spec.length) if tokens[b, t] != spec.pad]
            units = [[t] for t in places] if ratio == "token" else [places]
            for unit in units:
                q, q_old = (x[b, unit].double().sum().exp().item() for x in (new, old))
                total -= math.log((q if real else q_old) / (q + q_old)) / 5
        return total

    assert loss.terms["real"].item() == pytest.approx(by_hand(real, True), rel=1e-4)
    assert loss.terms["fake"].item() == pytest.approx(by_hand(fake, False), rel=1e-4)


def test_the_old_generator_becomes_the_new_one_before_every_epoch_and_has_no_dropout():
    spec = SPECS["text"]["variable length"]
    seed_everything(0)
    game = DGSAN(TINY, spec).train()
    renew, learn = game.stages()[1].moves
    assert isinstance(renew, Act)
    assert (renew.every, learn.times) == (1, math.ceil(spec.train_size / TINY.batch_size))
    with torch.no_grad():
        game.generator.output.weight += 1
    renew.do(TURN)
    assert torch.equal(game.old.output.weight, game.generator.output.weight)
    real = _sentences(spec)
    with evaluating(game.generator):
        assert game._log_ratio(real).abs().max() < 1e-5
    assert game._log_ratio(real).abs().max() > 0.01
    assert game.old.training
