"""What makes ColdGAN itself: importance weights, checked by summing over all sentences of a small world."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from tests.policies import ENDING, FIXED, sentences
from tests.tables import TableGenerator, gradient
from textgan.game import Turn
from textgan.games.coldgan import TINY, ColdGAN, importance_weights
from textgan.parts.proposals import ProposalConfig, proposal_log_probs

TURN = Turn("adversarial", 0, 0.0)
NEAR_THE_MODE = ProposalConfig(temperature=0.5, top_p=0.8, warm=0.2)
every_world = pytest.mark.parametrize("spec", [ENDING, FIXED], ids=["ending", "fixed"])


def world(spec, **changes) -> ColdGAN:
    changes = {"proposal": NEAR_THE_MODE, "largest_weight": None, "baseline": "none", **changes}
    game = ColdGAN(dataclasses.replace(TINY, **changes), spec)
    game.generator = TableGenerator(spec, seed=1)
    return game.eval()


def expected_gradient(game: ColdGAN) -> Tensor:
    """Of the loss of one sentence, over all that the proposal may draw."""
    every = sentences(game.spec)
    log_q = proposal_log_probs(game.generator, every, game.config.proposal, game.config.proposal.warm).detach()
    total = torch.zeros(())
    for row, one in zip(every, log_q, strict=True):
        total = total + one.sum().exp() * game._loss(row[None], one[None]).terms["policy_gradient"]
    return gradient(total, game.generator)


def exact_gradient(game: ColdGAN, weights: Tensor | float = 1.0) -> Tensor:
    """Of minus the expected reward."""
    every = sentences(game.spec)
    reward = game.opponent.reward(every).double()
    p = game.generator.probabilities()
    return gradient(-(p * reward * weights).sum(), game.generator)


@every_world
def test_without_a_clip_the_gradient_is_that_of_the_expected_reward(spec):
    game = world(spec)
    exact = exact_gradient(game)
    assert exact.abs().max() > 1e-4
    torch.testing.assert_close(expected_gradient(game), exact, rtol=1e-4, atol=1e-6)


@every_world
def test_without_weights_it_would_be_another_one(spec):
    game = world(spec, largest_weight=1e-9)  # all weights equal
    biased = expected_gradient(game) * 1e9
    assert (biased - exact_gradient(game)).abs().max() > 1e-3


def test_a_clip_cuts_the_weights_that_are_larger():
    game, every = world(ENDING, largest_weight=1.5), sentences(ENDING)
    log_q = proposal_log_probs(game.generator, every, NEAR_THE_MODE, 0.2).detach()
    p = game.generator.probabilities().detach()
    ratio = p / log_q.sum(1).exp()
    assert ratio.max() > 1.5
    cut = (ratio.clamp(max=1.5) / ratio).double()
    # grad of sum_y q min(c, p/q) r log p, with p held in the weights, is that of the reward r cut.
    torch.testing.assert_close(expected_gradient(game), exact_gradient(game, cut), rtol=1e-4, atol=1e-6)


def test_weights_are_bounded_by_the_share_of_warm_sentences():
    game, every = world(ENDING), sentences(ENDING)
    log_q = proposal_log_probs(game.generator, every, NEAR_THE_MODE, 0.2).sum(1)
    assert (game.generator.probabilities() / log_q.exp()).max() <= 5 + 1e-4


@every_world
def test_weights_of_words_give_the_gradient_of_a_p_that_says_one_word_among_words_of_q(spec):
    """sum_t E_q(y_<t) sum_v grad p(v | y_<t) E_q(rest)[D]: by the tree of all prefixes."""
    game, every = world(spec, weights="word"), sentences(spec)
    q = proposal_log_probs(game.generator, every, NEAR_THE_MODE, 0.2).detach()
    reward, p = game.opponent.reward(every).double(), game.generator.log_probs(every).exp()
    total = torch.zeros((), dtype=torch.float64)
    for t in range(spec.length):
        others = torch.ones(spec.length, dtype=torch.bool)
        others[t] = False
        written = every[:, t] != spec.pad
        total = total - (q[:, others].sum(1).exp() * p[:, t] * reward)[written].sum()
    exact = gradient(total, game.generator)
    assert exact.abs().max() > 1e-3
    torch.testing.assert_close(expected_gradient(game), exact, rtol=1e-4, atol=1e-5)


def test_weights_are_ratios_of_sentences_or_of_words():
    log_ratios = torch.tensor([[2.0, 0.25, 0.5], [4.0, 1.0, 1.0]]).log()
    of_sentences = importance_weights(log_ratios, False, None)
    torch.testing.assert_close(of_sentences, torch.tensor([[0.25] * 3, [4.0] * 3]))
    torch.testing.assert_close(importance_weights(log_ratios, True, 3.0), log_ratios.exp().clamp(max=3))


def test_a_constant_reward_has_no_gradient_on_the_whole():
    assert expected_gradient(world(ENDING, reward="constant")).abs().max() < 1e-5


def test_the_baseline_is_the_mean_of_the_other_sentences():
    game = world(ENDING, baseline="batch")
    tokens = torch.tensor([[3, 4, 2], [4, 3, 3], [4, 4, 4]])
    log_q = torch.tensor([[-1.0, -0.5, -0.5], [-1.0, -1.0, 0.0], [-2.0, -0.5, -0.5]])
    reward = game.opponent.reward(tokens).double()
    log_p = game.generator.log_probs(tokens).sum(1)
    others = torch.stack([reward[[1, 2]].mean(), reward[[0, 2]].mean(), reward[[0, 1]].mean()])
    by_hand = -((log_p.detach() - log_q.sum(1)).exp() * (reward - others) * log_p).mean()
    torch.testing.assert_close(game._loss(tokens, log_q).terms["policy_gradient"].double(), by_hand)


@pytest.mark.parametrize("fakes", ["generator", "proposal"])
def test_the_discriminator_learns_on_what_it_is_told_to(fakes):
    game = world(ENDING, fakes=fakes, proposal=ProposalConfig(temperature=1e-4, top_p=1.0, warm=0.0))
    drawn = game.fakes(200)
    assert (drawn == drawn[0]).all() == (fakes == "proposal")
    assert (game.sample(200) != drawn[0]).any()
