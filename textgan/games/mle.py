"""Maximum likelihood (teacher forcing): the baseline that every text GAN starts from and is held against.

Minimises the cross-entropy of each token given the true ones before it, in nats per token::

    L = -sum_bt log p(y_bt | y_b,<t) / number of tokens

Sampling at a temperature below 1 trades diversity for quality; that curve is what a GAN has to leave behind
("Language GANs Falling Short", Caccia et al., 2018).

Differs from the paper: no paper; the oracle preset is the pre-training of SeqGAN (Yu et al., 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch.optim import Adam, Optimizer

from textgan.errors import check_above_zero, check_at_least
from textgan.game import Move, Stage
from textgan.networks.generators import GeneratorConfig
from textgan.parts.text_game import TextGame


@dataclass(frozen=True)
class Config:
    """Maximum likelihood."""

    generator: GeneratorConfig = GeneratorConfig()
    """Its network."""
    batch_size: int = 64
    """Sentences a step."""
    epochs: int = 8
    """Passes over the corpus."""
    learning_rate: float = 3e-3
    """Adam's step size."""
    clip: float = 5.0
    """Largest gradient norm."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "batch_size")
        check_at_least(0, "game", self, "epochs")
        check_above_zero("game", self, "learning_rate", "clip")


TINY = Config(generator=GeneratorConfig(embedding=16, hidden=16), epochs=2, batch_size=32)


class MLE(TextGame):
    """One player, one stage."""

    config: Config

    def optimizers(self) -> dict[str, Optimizer]:
        return {"generator": Adam(self.generator.parameters(), lr=self.config.learning_rate)}

    def stages(self) -> Sequence[Stage]:
        epoch = math.ceil(self.spec.train_size / self.batch_size)
        move = Move("generator", self.likelihood, times=epoch, clip=self.config.clip)
        return [Stage("likelihood", self.config.epochs, [move])]
