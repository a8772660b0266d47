"""A discriminator of story endings: it learns on the generator's endings and on human endings of other stories."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import StorySpec
from textgan.data.stories import StoryBatch
from textgan.errors import check_above_zero, check_at_least, check_share
from textgan.game import Loss
from textgan.losses import accuracy, discriminator_loss
from textgan.networks.hierarchical import HierarchicalDiscriminator
from textgan.networks.modes import evaluating

PLAYER = "discriminator"


@dataclass(frozen=True)
class StoryOpponentConfig:
    """The discriminator: its network, and how it learns."""

    embedding: int = 64
    """Width of its word embeddings."""
    hidden: int = 128
    """Units of its LSTMs."""
    matching: bool = True
    """Let it hold every word of the ending against the words of the context."""
    dropout: float = 0.1
    """Dropout on its embeddings, sentence vectors and representation, in [0, 1)."""
    learning_rate: float = 2e-3
    """Adam's step size."""
    epochs: int = 6
    """Its passes over the corpus before the game."""
    steps: int = 3
    """Its steps a round."""
    mismatched: float = 0.2
    """Share of its negatives that are human endings of other stories, in [0, 1)."""

    def __post_init__(self) -> None:
        group = "game.discriminator"
        check_at_least(1, group, self, "embedding", "hidden")
        check_at_least(0, group, self, "epochs", "steps")
        check_above_zero(group, self, "learning_rate")
        check_share(group, self, "dropout", "mismatched")


class StoryOpponent(HierarchicalDiscriminator):
    """The player ``discriminator``."""

    def __init__(self, config: StoryOpponentConfig, spec: StorySpec) -> None:
        super().__init__(spec, config.embedding, config.hidden, config.dropout, config.matching)
        self.config = config

    def optimizer(self) -> dict[str, Optimizer]:
        """Adam."""
        return {PLAYER: Adam(self.parameters(), lr=self.config.learning_rate)}

    def reward(self, context: Tensor, endings: Tensor) -> Tensor:
        """The probability ``(n,)`` that endings ``(n, T)``, n / B of each context, are human, without gradient."""
        with evaluating(self), torch.no_grad():
            return self(self.read(context).times(len(endings) // len(context)), endings).sigmoid()

    def loss(self, real: StoryBatch, fake: Tensor) -> Loss:
        """Cross-entropy of human endings against generated ones ``(B, T)`` and other stories' human ones, halved."""
        story = self.read(real.context)
        human, generated = self(story, real.ending), self(story, fake)
        real_loss, fake_loss = discriminator_loss(human, generated)
        share = self.config.mismatched
        terms = {"real": real_loss / 2, "fake": (1 - share) * fake_loss / 2}
        info = {"accuracy": accuracy(human, generated)}
        if share:
            other = self(story, real.ending.roll(1, 0))
            terms["mismatched"] = share * discriminator_loss(human, other)[1] / 2
            info["mismatched_accuracy"] = accuracy(human, other)
        return Loss(terms, info)
