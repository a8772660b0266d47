"""What games have in common whose generator learns through relaxed words, against a `RelaxedOpponent`."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.game import Loss, Turn
from textgan.parts.relaxed_opponent import RelaxedOpponent
from textgan.parts.text_game import TextGame
from textgan.relaxation import Relaxed


class RelaxedGame(TextGame):
    """Players ``generator_mle``, ``generator`` and ``discriminator``. A subclass says how fakes are made.

    Its config is a `TextGameConfig` with a `RelaxedOpponentConfig` called `discriminator`.
    """

    def __init__(self, config: Any, spec: TextSpec) -> None:
        super().__init__(config, spec)
        self.opponent = RelaxedOpponent(config.discriminator, spec)

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for each player."""
        return {
            **self.pretraining_optimizer(self.config.pretraining),
            "generator": Adam(self.generator.parameters(), lr=self.config.learning_rate),
            **self.opponent.optimizer(),
        }

    def fakes(self, n: int, turn: Turn) -> Relaxed:
        """`n` sentences of relaxed words as they are made at this turn."""
        raise NotImplementedError

    def deceive(self, real: Tensor, turn: Turn) -> Loss:
        """The generator's loss: the objective of the opponent's votes."""
        return Loss({"adversarial": self.opponent.generator_loss(real, self.fakes(len(real), turn))})
