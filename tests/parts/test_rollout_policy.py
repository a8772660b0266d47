"""The copy of the generator that completes its sentences."""

from __future__ import annotations

import pytest
import torch

from tests.games.test_every_game import SPECS
from textgan.game import Act, Loss, Move, Turn
from textgan.networks.generators import GeneratorConfig, text_generator
from textgan.parts.rollout_policy import RolloutGameConfig, RolloutPolicy
from textgan.policy_gradient import rollout_rewards
from textgan.reproducibility import seed_everything
from textgan.sampling import sample

SPEC = SPECS["text"]["variable length"]


def _generator(dropout: float = 0.0):
    seed_everything(0)
    return text_generator(GeneratorConfig(embedding=8, hidden=8, dropout=dropout), SPEC)


def test_it_follows_the_generator_at_its_rate_and_never_moves_it():
    generator = _generator()
    policy = RolloutPolicy(generator, RolloutGameConfig(rollout_rate=0.8, rollouts=1))
    before = generator.output.weight.detach().clone()
    with torch.no_grad():
        generator.output.weight += 1
    policy.follow(generator)
    torch.testing.assert_close(policy.network.output.weight.detach(), before + 0.2)
    torch.testing.assert_close(generator.output.weight.detach(), before + 1)
    policy.become(generator)
    assert torch.equal(policy.network.output.weight, generator.output.weight)


@pytest.mark.parametrize("rollouts", [1, 3])
def test_rewards_are_those_of_its_own_rollouts_with_dropout_off(rollouts):
    generator = _generator(dropout=0.9).train()
    policy = RolloutPolicy(generator, RolloutGameConfig(rollouts=rollouts, temperature=0.7)).train()
    tokens = sample(generator.eval(), SPEC, 6)
    seed_everything(1)
    found = policy.rewards(tokens, lambda rows: rows.sum(1).float())
    assert policy.network.training
    seed_everything(1)
    expected = rollout_rewards(generator, SPEC, tokens, lambda rows, _: rows.sum(1).float(), rollouts, 0.7)
    torch.testing.assert_close(found, expected)


def test_it_becomes_the_generator_once_and_follows_every_step():
    generator = _generator()
    config = RolloutGameConfig(rollout_rate=0.5, generator_steps=3, rounds=4)
    policy = RolloutPolicy(generator, config)
    start, step = policy.moves(generator, config, lambda real, turn: Loss({}))
    assert isinstance(start, Act)
    assert isinstance(step, Move)
    assert (start.every, step.player, step.times, step.clip) == (4, "generator", 3, config.clip)
    with torch.no_grad():
        generator.output.weight += 1
    start.do(Turn("adversarial", 0, 0.0))
    assert torch.equal(policy.network.output.weight, generator.output.weight)
    with torch.no_grad():
        generator.output.weight += 1
    step.after()
    torch.testing.assert_close(policy.network.output.weight, generator.output.weight - 0.5)
