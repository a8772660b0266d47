"""The roll-out policy of SeqGAN and those that follow it: a copy of the generator that completes its sentences."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.networks.modes import evaluating
from textgan.networks.text_generator import TextGenerator
from textgan.policy_gradient import SharedReward, rollout_rewards


class RolloutPolicy(nn.Module):
    """Weights phi that follow the generator's theta, ``phi <- rate phi + (1 - rate) theta``, and value its words.

    Args:
        rate: share that phi keeps of itself, in [0, 1).
        rollouts: N, completions of each prefix.
        temperature: temperature at which they are drawn.
    """

    def __init__(self, generator: TextGenerator, rate: float, rollouts: int, temperature: float = 1.0) -> None:
        super().__init__()
        self.network = copy.deepcopy(generator)
        self.rate, self.rollouts, self.temperature = rate, rollouts, temperature

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
