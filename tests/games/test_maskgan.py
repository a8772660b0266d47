"""What makes MaskGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from textgan.game import Turn
from textgan.games.maskgan import TINY, MaskGAN
from textgan.networks.modes import evaluating
from textgan.reproducibility import seed_everything

TURN = Turn("adversarial", 0, 0.0)
SPEC = SPECS["text"]["variable length"]
each_spec = pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])


def _game(spec=SPEC, **changes) -> MaskGAN:
    seed_everything(0)
    return MaskGAN(dataclasses.replace(TINY, **changes), spec)


def _drawn(game, real):
    """The mask and the filling that a loss draws, its seed being set."""
    seed_everything(5)
    masked = game._mask(real)
    return masked, game._filled(real, masked)


def _places(tokens, masked, spec):
    return [(b, t) for b, t in masked.nonzero().tolist() if tokens[b, t] != spec.pad]


@each_spec
def test_the_reward_is_the_log_of_twice_the_probability_of_being_real_at_masked_tokens_alone(spec):
    game = _game(spec, dropout=0.9)
    masked, filled = _drawn(game, _sentences(spec)[:6])
    rewards = game._rewards(filled, masked)
    with evaluating(game.discriminator), torch.no_grad():
        p = game.discriminator(filled, masked).sigmoid()
    expected = torch.zeros_like(rewards)
    for b, t in _places(filled, masked, spec):
        expected[b, t] = (2 * p[b, t]).log()
    torch.testing.assert_close(rewards, expected)
    assert game.discriminator.training


@each_spec
def test_the_policy_gradient_is_of_masked_tokens_by_what_they_earn_beyond_the_critics_word(spec):
    game, real = _game(spec), _sentences(spec)[:6]
    masked, filled = _drawn(game, real)
    seed_everything(5)
    loss = game._reinforce(real, TURN)
    rewards, expected = game._rewards(filled, masked), game.critic(filled, masked)
    with evaluating(game.generator):
        log_probs = game.generator.given(real, masked).log_probs(filled)
    by_hand = torch.zeros(())
    for b, t in _places(filled, masked, spec):
        worth = sum(0.89 ** (s - t) * rewards[b, s] for s in range(t, spec.length))
        by_hand = by_hand - (worth - expected[b, t].detach()) * log_probs[b, t] / 6
    torch.testing.assert_close(loss.terms["policy_gradient"], by_hand)
    gradients = [
        torch.autograd.grad(value, game.generator.output.weight)[0] for value in (*loss.terms.values(), by_hand)
    ]
    torch.testing.assert_close(*gradients)


@each_spec
def test_the_critic_learns_the_discounted_rewards_of_masked_tokens(spec):
    game, real = _game(spec), _sentences(spec)[:6]
    masked, filled = _drawn(game, real)
    seed_everything(5)
    loss = game._expect(real, TURN)
    rewards, values = game._rewards(filled, masked), game.critic(filled, masked)
    places = _places(filled, masked, spec)
    worth = [sum(0.89 ** (s - t) * rewards[b, s] for s in range(t, spec.length)) for b, t in places]
    by_hand = sum((values[b, t] - w) ** 2 for (b, t), w in zip(places, worth, strict=True)) / len(places)
    torch.testing.assert_close(loss.terms["value"], by_hand)


@each_spec
def test_the_discriminator_is_judged_by_masked_tokens_alone(spec):
    game, real = _game(spec, dropout=0.0), _sentences(spec)[:6]
    masked, filled = _drawn(game, real)
    seed_everything(5)
    loss = game._discriminate(real, TURN)
    for term, tokens, sign in (("real", real, 1), ("fake", filled, -1)):
        scores, places = game.discriminator(tokens, masked), _places(tokens, masked, spec)
        by_hand = sum(-torch.sigmoid(sign * scores[b, t]).log() for b, t in places) / len(places)
        torch.testing.assert_close(loss.terms[term], by_hand)


@each_spec
def test_likelihood_is_that_of_masked_tokens_given_the_rest(spec):
    game, real = _game(spec, dropout=0.0), _sentences(spec)[:6]
    seed_everything(5)
    loss = game._likelihood(real, TURN)
    seed_everything(5)
    masked = game._mask(real)
    log_probs = game.generator.given(real, masked).log_probs(real)
    places = _places(real, masked, spec)
    torch.testing.assert_close(loss.terms["nll"], -sum(log_probs[b, t] for b, t in places) / len(places))


def test_a_constant_reward_is_one_at_every_masked_token():
    game = _game(reward="constant")
    masked, filled = _drawn(game, _sentences(SPEC)[:6])
    assert torch.equal(game._rewards(filled, masked), (masked & (filled != SPEC.pad)).float())


def test_the_expected_policy_gradient_does_not_depend_on_the_critic():
    """By the sum over all fillings of two masked tokens: a baseline that knows the prefix alone takes nothing off."""
    from tests.policies import FIXED

    game = _game(FIXED, hidden=8, embedding=4)
    row, masked = torch.tensor([[2, 0, 1]]), torch.tensor([[True, True, False]])
    fillings = torch.tensor([[a, b, 1] for a in range(3) for b in range(3)])
    everywhere = masked.expand(9, -1)

    def expected_gradient(values):
        log_probs = game.generator.given(row, masked).log_probs(fillings) * everywhere
        p = log_probs.sum(1).exp().detach()
        above = game._worth(fillings, everywhere) - values
        value = (p[:, None] * above * log_probs).sum()
        return torch.autograd.grad(value, game.generator.output.weight)[0]

    with evaluating(game):
        critic = game.critic(fillings, everywhere).detach() * 10
        torch.testing.assert_close(
            expected_gradient(critic), expected_gradient(torch.zeros_like(critic)), atol=1e-5, rtol=1e-4
        )
