"""The roll-out policy of SeqGAN and those that follow it: a copy of the generator that completes its sentences."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.errors import check_above_zero, check_at_least, check_share
from textgan.game import Act, Loss, Move, Turn
from textgan.networks.modes import evaluating
from textgan.networks.text_generator import TextGenerator
from textgan.parts.text_game import TextGameConfig
from textgan.policy_gradient import SharedReward, rollout_rewards


@dataclass(frozen=True)
class RolloutGameConfig(TextGameConfig):
    """What the options of games begin with whose roll-outs are by a policy that follows the generator."""

    generator_steps: int = 2
    """Policy-gradient steps a round."""
    rollouts: int = 8
    """N: completions of each prefix."""
    rollout_rate: float = 0.8
    """Share that the roll-out policy keeps of itself when it follows the generator, in [0, 1)."""
    temperature: float = 1.0
    """Temperature at which sentences are drawn to be rewarded, and at which roll-outs are drawn."""
    baseline: Literal["none", "batch"] = "batch"
    """What is taken off a reward. none: the paper. batch: the mean reward of the other sentences at the position."""
    whiten: bool = False
    """Divide the rewards by their standard deviation over the batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "rollouts", "generator_steps")
        check_above_zero("game", self, "temperature")
        check_share("game", self, "rollout_rate")


class RolloutPolicy(nn.Module):
    """Weights phi that follow the generator's theta, ``phi <- rate phi + (1 - rate) theta``, and value its words."""

    def __init__(self, generator: TextGenerator, config: RolloutGameConfig) -> None:
        super().__init__()
        self.network = copy.deepcopy(generator)
        self.rate, self.rollouts, self.temperature = config.rollout_rate, config.rollouts, config.temperature

    def moves(
        self, generator: TextGenerator, config: RolloutGameConfig, loss: Callable[[Any, Turn], Loss]
    ) -> list[Act | Move]:
        """At the game's start phi <- theta; then the generator's steps, each followed."""

        def start_rollouts(turn: Turn) -> None:
            self.become(generator)

        follow = partial(self.follow, generator)
        return [
            Act(start_rollouts, every=max(1, config.rounds)),
            Move("generator", loss, config.generator_steps, after=follow, clip=config.clip),
        ]

    def become(self, generator: TextGenerator) -> None:
        """phi <- theta."""
        self.network.load_state_dict(generator.state_dict())

    def follow(self, generator: TextGenerator) -> None:
        """One step after the generator."""
        with torch.no_grad():
            for mine, theirs in zip(self.network.parameters(), generator.parameters(), strict=True):
                mine.lerp_(theirs, 1 - self.rate)

    def rewards(
        self,
        tokens: Int[Tensor, "batch length"],
        reward: Callable[[Tensor], Tensor],
        shared_reward: SharedReward | None = None,
    ) -> Float[Tensor, "batch length"]:
        """Q of each token, with dropout off: see `rollout_rewards`, whose `reward` is not told the origins here."""
        with evaluating(self.network):
            return rollout_rewards(
                self.network,
                self.network.spec,
                tokens,
                lambda sentences, _: reward(sentences),
                self.rollouts,
                self.temperature,
                shared_reward=shared_reward,
            )
