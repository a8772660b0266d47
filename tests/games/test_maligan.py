"""What makes MaliGAN itself."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.maligan import TINY, MaliGAN, ratio_weights
from textgan.networks.modes import evaluating
from textgan.policy_gradient import continued
from textgan.reproducibility import seed_everything

VARIABLE = SPECS["text"]["variable length"]
HALF = Turn("adversarial", 1, 0.5)
every_spec = pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])


def _game(spec=VARIABLE, opinion: float = 20.0, **changes) -> MaliGAN:
    seed_everything(0)
    game = MaliGAN(dataclasses.replace(TINY, **changes), spec)
    with torch.no_grad():  # or else all sentences are alike to it
        game.opponent.network.output.weight *= opinion
    return game


def _chances(game: MaliGAN, tokens: torch.Tensor) -> torch.Tensor:
    """D of each sentence."""
    with evaluating(game.opponent.network), torch.no_grad():
        return game.opponent.network(tokens).double().sigmoid()


def test_weights_are_d_over_one_minus_d_normalised_to_a_mean_of_one():
    chances = torch.tensor([[0.5, 0.8, 0.2], [0.9, 0.9, 0.9]], dtype=torch.float64)
    ratios = [1.0, 4.0, 0.25]
    expected = torch.tensor([[3 * r / sum(ratios) for r in ratios], [1.0, 1.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(ratio_weights(chances.logit()), expected)


def test_weights_are_finite_where_d_is_zero_or_one_in_single_precision():
    weights = ratio_weights(torch.tensor([[500.0, 500.0 + math.log(3), -500.0, 0.0]]))
    torch.testing.assert_close(weights, torch.tensor([[1.0, 3.0, 0.0, 0.0]]))
    assert torch.equal(ratio_weights(torch.full((1, 4), -500.0)), torch.ones(1, 4))


def test_samples_without_a_ratio_do_not_count():
    log_ratios = torch.tensor([[[0.0, 0.0], [math.log(3), -torch.inf], [-torch.inf, -torch.inf]]])
    expected = torch.tensor([[[0.5, 1.0], [1.5, 0.0], [0.0, 0.0]]])
    torch.testing.assert_close(ratio_weights(log_ratios), expected)
    assert torch.equal(ratio_weights(log_ratios[:, 2:]), torch.zeros(1, 1, 2))


@every_spec
@pytest.mark.parametrize(("baseline", "b"), [("mean", 1.0), ("rising", 0.5), ("none", 0.0)])
def test_the_loss_is_weight_above_baseline_times_log_probability(spec, baseline, b):
    game = _game(spec, baseline=baseline)
    seed_everything(5)
    loss = game._learn(_sentences(spec)[:6], HALF)
    seed_everything(5)
    tokens = game.sample(6)
    chances = _chances(game, tokens)
    ratios = chances / (1 - chances)
    with evaluating(game.generator):
        log_probs = game.generator.log_probs(tokens).sum(1)
    by_hand = sum(-(6 * r / ratios.sum() - b) * log_p / 6 for r, log_p in zip(ratios, log_probs, strict=True))
    assert list(loss.terms) == ["policy_gradient"]
    assert loss.terms["policy_gradient"].item() == pytest.approx(by_hand.item(), rel=1e-4)
    torch.testing.assert_close(loss.info["reward"].double(), chances.mean())


@every_spec
def test_with_mixed_sentences_begin_as_real_ones_and_compete_among_those_that_begin_alike(spec):
    game = _game(spec, mixed=True, completions=3)
    real, given = _sentences(spec)[:8], round(spec.length / 2)
    seed_everything(5)
    loss = game._learn(real, HALF)
    seed_everything(5)
    with evaluating(game.generator):
        tokens = continued(game.generator, spec, real[:2], given, 3)
        log_probs = game.generator.log_probs(tokens)
    assert torch.equal(tokens[:, :given], real[[0, 0, 0, 1, 1, 1], :given])
    chances = _chances(game, tokens).view(2, 3)
    ratios = chances / (1 - chances)
    own = by_hand = torch.zeros((), dtype=torch.float64)
    for i in range(2):
        by_hand = by_hand - log_probs[3 * i, :given].sum() / 2
        for j in range(3):
            weight = 3 * ratios[i, j] / ratios[i].sum()
            own = own - (weight - 1) * log_probs[3 * i + j, given:].sum() / 6
    assert loss.terms["policy_gradient"].item() == pytest.approx(own.item(), rel=1e-4)
    assert loss.terms["nll"].item() == pytest.approx(by_hand.item(), rel=1e-4)


@every_spec
def test_with_mixed_the_first_round_is_maximum_likelihood(spec):
    game = _game(spec, mixed=True, completions=3)
    real = _sentences(spec)[:6]
    loss = game._learn(real, Turn("adversarial", 0, 0.0))
    with evaluating(game.generator):
        expected = -game.generator.log_probs(real[:2]).sum() / 2
    assert loss.terms["policy_gradient"] == 0
    torch.testing.assert_close(loss.terms["nll"], expected)


@every_spec
def test_with_rollouts_a_word_weighs_as_its_completions_do_and_the_last_as_its_sentence(spec):
    game = _game(spec, opinion=4.0, rollouts=300)
    tokens = game.sample(4)
    mask = tokens != spec.pad
    weights = game._weights(tokens, game._log_ratios(tokens), 4)
    torch.testing.assert_close(weights.sum(0), mask.sum(0).float())  # a mean of 1 at each position
    assert (weights[~mask] == 0).all()
    many = game.sample(20_000)
    chances = _chances(game, many)
    ratios = chances / (1 - chances)
    first = torch.stack([ratios[many[:, 0] == token].mean() for token in tokens[:, 0]])
    torch.testing.assert_close(weights[:, 0].double(), 4 * first / first.sum(), rtol=0.15, atol=0.02)
    if spec.eos < 0:
        ends = _chances(game, tokens)
        ends = ends / (1 - ends)
        torch.testing.assert_close(weights[:, -1].double(), 4 * ends / ends.sum())


def test_rollouts_do_not_overflow():
    game = _game(rollouts=2)
    with torch.no_grad():
        game.opponent.network.output.weight *= 1000
        game.opponent.network.output.bias += 1e5
    loss = game._learn(_sentences(VARIABLE)[:6], HALF)
    assert loss.terms["policy_gradient"].isfinite()


def test_a_constant_reward_weighs_every_word_one():
    game = _game(reward="constant")
    tokens = game.sample(4)
    assert torch.equal(game._weights(tokens, game._log_ratios(tokens), 4), torch.ones(4, VARIABLE.length))


def test_a_discriminator_whose_score_is_no_log_ratio_is_refused():
    with pytest.raises(UserError, match=r"game\.discriminator\.loss is 'hinge'; it must be standard"):
        dataclasses.replace(TINY, discriminator=dataclasses.replace(TINY.discriminator, loss="hinge"))


def test_the_weighted_gradient_is_that_of_the_likelihood_of_the_data_by_enumeration():
    """With D the best discriminator, E_p[r grad log p] = E_data[grad log p], so that samples stand for data."""
    from tests.policies import ENDING, TablePolicy, sentences

    policy, data = TablePolicy(ENDING), TablePolicy(ENDING, seed=1)
    every = sentences(ENDING)
    log_p, log_data = policy.log_probs(every).sum(1), data.log_probs(every).sum(1).detach()
    p = log_p.detach().exp()
    chance = log_data.exp() / (log_data.exp() + p)
    ratios = ratio_weights(chance.logit()[None])[0]
    ratios = ratios / (p * ratios).sum()  # normalised over samples of p, not over all sentences
    (found,) = torch.autograd.grad((p * ratios * log_p).sum(), policy.table, retain_graph=True)
    (expected,) = torch.autograd.grad((log_data.exp() * log_p).sum(), policy.table)
    torch.testing.assert_close(found, expected)
