"""What makes GCN itself: the target, and its weights, on worlds whose sentences can all be written down."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from tests.policies import ENDING, FIXED, sentences
from tests.tables import TableGenerator, gradient
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.gcn import GCN, TINY, normalised_weights
from textgan.parts.opponent import OpponentConfig
from textgan.parts.proposals import ProposalConfig, proposal_log_probs

TURN = Turn("cooperative", 0, 0.0)
every_world = pytest.mark.parametrize("spec", [ENDING, FIXED], ids=["ending", "fixed"])


def world(spec, **changes) -> GCN:
    """A game over a table, whose pool has room for every sentence once."""
    changes = {"samples": len(sentences(spec)), **changes}
    game = GCN(dataclasses.replace(TINY, **changes), spec)
    game.generator = TableGenerator(spec, seed=1)
    return game.eval()


@torch.no_grad()
def fill(game: GCN, every: Tensor) -> None:
    """Put in all sentences once: a sample of the uniform proposal without error."""
    game.proposed.add(every)
    game.weights.add(game._weigh(every, torch.zeros(every.shape)))


@every_world
def test_the_gradient_is_that_of_kl_to_the_target(spec):
    game, every = world(spec), sentences(spec)
    p = game.generator.probabilities()
    with torch.no_grad():
        d = game.opponent.network(every).sigmoid().double()
    q = (p * d / (p * d).sum()).detach()
    exact = gradient((q * (q / p).log()).sum(), game.generator)
    fill(game, every)
    loss = game._fit(every, TURN)
    assert exact.abs().max() > 1e-3
    torch.testing.assert_close(gradient(loss.terms["weighted_nll"], game.generator), exact, rtol=1e-4, atol=1e-6)


@every_world
def test_weights_undo_the_proposal(spec):
    """Each sentence at the rate at which it is proposed, weighed, is back at its rate under p D."""
    game, every = world(spec), sentences(spec)
    words = proposal_log_probs(game.generator, every, ProposalConfig(0.5, 0.7, 0.3), 0.3).detach()
    weights, log_r = game._weigh(every, words), words.sum(1)
    with torch.no_grad():
        target = game.generator.probabilities() * game.opponent.network(every).sigmoid()
    weighed = weights.double() * log_r.exp().double()
    torch.testing.assert_close(weighed / weighed.sum(), (target / target.sum()).double(), rtol=1e-4, atol=1e-6)


def test_weights_have_a_mean_of_one_whatever_their_scale():
    log_ratio = torch.tensor([-700.0, -701.0, -1000.0])
    expected = torch.tensor([1.0, torch.tensor(-1.0).exp(), 0.0])
    torch.testing.assert_close(normalised_weights(log_ratio), 3 * expected / expected.sum())
    assert normalised_weights(log_ratio + 600).mean().item() == pytest.approx(1)


def test_a_round_draws_weighs_and_keeps_its_sentences_together():
    game = world(ENDING, samples=40, proposal=ProposalConfig(0.5, 0.8, 0.1))
    with torch.no_grad():
        game._propose(TURN)
    tokens, weights = game.proposed.items.long(), game.weights.items
    share = -(-40 * 0.1 // 1) / 40
    log_r = proposal_log_probs(game.generator, tokens, game.config.proposal, share).detach()
    torch.testing.assert_close(weights, game._weigh(tokens, log_r).float())
    by_hand = -(weights[:7] * game.generator.log_probs(tokens[:7]).sum(1)).mean()
    loss = game._fit(tokens[:7], TURN)
    torch.testing.assert_close(loss.terms["weighted_nll"], by_hand)
    torch.testing.assert_close(loss.info["effective_share"], weights.sum() ** 2 / (weights**2).sum() / 40)


def test_a_constant_discriminator_leaves_the_generator_where_it_is():
    game, every = world(ENDING, reward="constant"), sentences(ENDING)
    fill(game, every)
    loss = game._fit(every, TURN).terms["weighted_nll"]
    assert gradient(loss, game.generator).abs().max() < 1e-6


def test_repeated_rounds_with_the_best_discriminator_lead_to_the_data():
    """p <- p D / sum, D = data / (data + p): the paper's theorem, by the game's own weights."""
    game, every = world(ENDING), sentences(ENDING)
    data = TableGenerator(ENDING, seed=2).probabilities().detach()
    p = game.generator.probabilities().detach()
    distances = []
    for _ in range(300):
        p = normalised_weights((p * data / (data + p)).log()) / len(every)
        distances.append((p - data).abs().sum().item() / 2)
    assert distances[-1] < 1e-6
    assert distances == sorted(distances, reverse=True)


def test_a_loss_that_gives_no_probabilities_is_refused():
    with pytest.raises(UserError, match=r"game.discriminator.loss is 'wasserstein'; it must be standard or "):
        dataclasses.replace(TINY, discriminator=OpponentConfig(loss="wasserstein"))
