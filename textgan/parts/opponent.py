"""A discriminator of sentences that learns from a pool of fakes, as SeqGAN's and those that follow it do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.errors import check_above_zero, check_at_least, check_fields
from textgan.game import Act, Loss, Move, Stage, Turn
from textgan.losses import OBJECTIVES, ObjectiveName, accuracy
from textgan.networks.discriminators import DiscriminatorConfig, text_discriminator
from textgan.networks.modes import evaluating
from textgan.parts.pools import Pool

PLAYER = "discriminator"
Draw = Callable[[int], Tensor]
"""So many fakes ``(n, T)``."""


@dataclass(frozen=True)
class OpponentConfig(DiscriminatorConfig):
    """The discriminator: its network, its loss, and how it learns."""

    loss: ObjectiveName = "standard"
    """What it minimises: standard (cross-entropy, the papers), or another objective; the reward is then its score."""
    learning_rate: float = 1e-4
    """Adam's step size."""
    l2: float = 0.2
    """Weight of half the squared norm of the output layer."""
    rounds: int = 3
    """Times the pool is refilled before the game."""
    refills: int = 1
    """Times the pool is refilled a round of the game."""
    epochs: int = 1
    """Passes over the pool after each refill."""
    pool_size: int | None = 1280
    """Fakes in the pool. None: as many as there are sentences in the corpus."""
    pool_refresh: float = 1.0
    """Share of the pool that a refill replaces, the oldest first, in (0, 1]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        group = "game.discriminator"
        check_at_least(1, group, self, "epochs", "pool_size")
        check_at_least(0, group, self, "rounds", "refills", "l2")
        check_above_zero(group, self, "learning_rate")
        check_fields(group, self, "in (0, 1]", lambda share: 0 < share <= 1, "pool_refresh")


TINY_OPPONENT = OpponentConfig(
    widths=(1, 2, 3), filters=(8, 8, 8), embedding=16, representations=4, hidden=8, layers=1, rounds=1, pool_size=64
)  # fmt: skip


class Opponent(nn.Module):
    """The discriminator's network and its pool: the player ``discriminator``.

    Its loss is the objective's two halves, each weighed by 1/2, and the penalty on its output layer. A subclass with
    another loss may give the network several `outputs`.
    """

    def __init__(self, config: OpponentConfig, spec: TextSpec, batch_size: int, outputs: int = 1) -> None:
        super().__init__()
        self.config, self.batch_size = config, batch_size
        self.network = text_discriminator(config, spec, outputs)
        self.pool = Pool(config.pool_size or spec.train_size, spec.length)
        self._objective = OBJECTIVES[config.loss]

    def optimizer(self) -> dict[str, Optimizer]:
        """Adam."""
        return {PLAYER: Adam(self.network.parameters(), lr=self.config.learning_rate)}

    def pretrain(self, draw: Draw) -> Stage:
        """The stage before the game; each round is one refill and the passes after it."""
        return Stage("pretrain_discriminator", self.config.rounds, self._refill_and_learn(draw))

    def moves(self, draw: Draw) -> list[Move | Act]:
        """Its part of a round of the game."""
        return self._refill_and_learn(draw) * self.config.refills

    def reward(self, sentences: Tensor, shared: int = 0, copies: int = 1) -> Tensor:
        """What sentences ``(n, T)`` are worth ``(n,)``, without gradient and with dropout off.

        The probability of being real or, with losses that know of none, the score. For `shared` and `copies` see
        `TextDiscriminator.forward`.
        """
        with evaluating(self.network), torch.no_grad():
            return self._objective.reward(self.network(sentences, shared, copies))

    def loss(self, real: Any, turn: Turn) -> Loss:
        """What it minimises, on real sentences ``(B, T)`` and as many of the pool."""
        fake = self.pool.draw(len(real)).long()
        real_scores, fake_scores = self.network(torch.cat([real, fake])).chunk(2)  # weights are read once for both
        real_loss, fake_loss = self._objective.discriminator(real_scores, fake_scores)
        penalty = self.config.l2 * self.network.output_penalty()
        return Loss(
            {"real": real_loss / 2, "fake": fake_loss / 2, "l2": penalty},
            {"accuracy": accuracy(real_scores, fake_scores)},
        )

    def refill(self, draw: Draw) -> None:
        """Replace the oldest fakes."""
        share = 1.0 if self.pool.is_empty else self.config.pool_refresh
        self.pool.add(draw(math.ceil(share * self.pool.size)))

    def _refill_and_learn(self, draw: Draw) -> list[Move | Act]:
        def refill(turn: Turn) -> None:
            self.refill(draw)

        passes = self.config.epochs * math.ceil(self.pool.size / self.batch_size)
        return [Act(refill), Move(PLAYER, self.loss, times=passes)]
