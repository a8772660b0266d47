"""What games have in common that have one player, the generator, which learns in passes over the corpus."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.errors import check_above_zero, check_at_least
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.generators import GeneratorConfig
from textgan.parts.text_game import TextGame


@dataclass(frozen=True)
class OnePlayerConfig:
    """What the options of such games begin with."""

    generator: GeneratorConfig = GeneratorConfig()
    """Its network."""
    batch_size: int = 64
    """Sentences a step."""
    epochs: int = 10
    """Passes over the corpus."""
    learning_rate: float = 3e-3
    """Adam's step size."""
    clip: float = 5.0
    """Largest norm of the gradient."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "batch_size")
        check_at_least(0, "game", self, "epochs")
        check_above_zero("game", self, "learning_rate", "clip")


class OnePlayerGame(TextGame):
    """One player, one stage. A subclass says what the generator minimises."""

    stage: ClassVar[str] = "likelihood"
    """The stage's name."""

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam."""
        return {"generator": Adam(self.generator.parameters(), lr=self.config.learning_rate)}

    def stages(self) -> Sequence[Stage]:
        """As many passes over the corpus as are asked for."""
        epoch = math.ceil(self.spec.train_size / self.batch_size)
        return [Stage(self.stage, self.config.epochs, [Move("generator", self.loss, epoch, clip=self.config.clip)])]

    def loss(self, real: Tensor, turn: Turn) -> Loss:
        """What the generator minimises on a batch of real sentences."""
        raise NotImplementedError
