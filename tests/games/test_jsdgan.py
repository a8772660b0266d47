"""What makes JSDGAN itself: its gradient is that of the Jensen-Shannon divergence, by enumeration of a small world."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from tests.policies import ENDING, FIXED, TablePolicy, sentences
from textgan.game import Turn
from textgan.games.jsdgan import JSDGAN, TINY, copies, log_weights
from textgan.reproducibility import seed_everything

TURN = Turn("adversarial", 0, 0.0)
every_world = pytest.mark.parametrize("spec", [FIXED, ENDING], ids=["fixed", "ending"])


def _game(spec, **changes) -> JSDGAN:
    seed_everything(0)
    game = JSDGAN(dataclasses.replace(TINY, **changes), spec)
    game.generator = TablePolicy(spec)
    return game


def _divergence(batch: torch.Tensor, policy: TablePolicy) -> torch.Tensor:
    """JSD of the batch's empirical distribution and the policy, in nats, summed over every sentence there is."""
    every = sentences(policy.spec)
    p = (every[:, None] == batch).all(2).double().mean(1)
    q = policy.log_probs(every).sum(1).exp()
    middle = (p + q) / 2
    of_p = torch.where(p > 0, p * (p.clamp(min=1e-300) / middle).log(), 0.0)
    return (of_p + q * (q / middle).log()).sum() / 2


def _batch(spec) -> torch.Tensor:
    """Seven sentences, two of them twice or three times there."""
    return sentences(spec)[[0, 3, 3, 5, 7, 7, 7]]


@every_world
def test_the_gradient_is_that_of_the_divergence(spec):
    game, batch = _game(spec, density="sentence"), _batch(spec)
    policy = game.generator
    (exact,) = torch.autograd.grad(2 * _divergence(batch, policy), policy.table)
    log_q = policy.log_probs(batch).sum(1).detach()
    scale = log_weights(log_q, copies(batch)).exp().sum()
    (found,) = torch.autograd.grad(scale * game.loss(batch, TURN).terms["weighted_nll"], policy.table)
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-7)


@every_world
def test_following_it_lowers_the_divergence_to_the_data(spec):
    game, batch = _game(spec, density="sentence"), _batch(spec)
    optimizer = torch.optim.Adam(game.generator.parameters(), lr=0.1)
    before = _divergence(batch, game.generator).item()
    for _ in range(20):
        optimizer.zero_grad()
        game.loss(batch, TURN).terms["weighted_nll"].backward()
        optimizer.step()
    assert _divergence(batch, game.generator).item() < before / 2


def test_weights_are_the_reward_times_the_density_shared_by_equal_sentences():
    log_q = torch.tensor([-1.0, -2.0, -2.0, -30.0])
    found = log_weights(log_q, torch.tensor([1, 2, 2, 1]))
    for b, (q, p, c) in enumerate([(math.exp(-1), 1 / 4, 1), (math.exp(-2), 2 / 4, 2), (math.exp(-2), 2 / 4, 2)]):
        reward = math.log(1 - p / (p + q))
        assert found[b].exp().item() == pytest.approx(-q * reward / c, rel=1e-5)
    assert found[3].item() == pytest.approx(-30 + math.log(30 + math.log(1 / 4)), rel=1e-5)


def test_weights_are_finite_where_densities_are_not_representable():
    weights = log_weights(torch.tensor([-180.0, -2000.0]), torch.tensor([1, 1])).softmax(0)
    torch.testing.assert_close(weights, torch.tensor([1.0, 0.0]))


def test_equal_sentences_are_counted():
    assert copies(_batch(ENDING)).tolist() == [1, 2, 2, 1, 3, 3, 3]


@pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])
def test_by_tokens_the_density_is_the_geometric_mean(spec):
    seed_everything(0)
    game, real = JSDGAN(dataclasses.replace(TINY, density="token"), spec).eval(), _sentences(spec)[:6]
    log_q = game.log_probs(real).sum(1)
    count = (real != spec.pad).sum(1)
    p = copies(real) / 6
    mean = (log_q / count).exp()
    weights = mean * (1 + p / mean).log() / copies(real)
    weights = (weights / weights.sum()).detach()
    loss = game.loss(real, TURN)
    torch.testing.assert_close(loss.terms["weighted_nll"], -(weights * log_q).sum())
    torch.testing.assert_close(loss.info["nll"], -log_q.sum().detach() / count.sum())
    torch.testing.assert_close(loss.info["effective"], 1 / weights.square().sum())


def test_a_constant_reward_is_maximum_likelihood():
    spec = SPECS["text"]["variable length"]
    seed_everything(0)
    game, real = JSDGAN(dataclasses.replace(TINY, reward="constant"), spec).eval(), _sentences(spec)[:6]
    loss = game.loss(real, TURN)
    torch.testing.assert_close(loss.terms["weighted_nll"], -game.log_probs(real).sum() / 6)
    assert loss.info["effective"].item() == pytest.approx(6)
