"""What games have in common in which a generator, schooled by likelihood, plays against an `Opponent`."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.game import Act, Move, Stage
from textgan.parts.opponent import Opponent
from textgan.parts.text_game import TextGame


class OpponentGame(TextGame):
    """Players ``generator_mle``, ``generator`` and ``discriminator``. A subclass says what the generator's moves are.

    Its config is a `TextGameConfig` with an `OpponentConfig` called `discriminator`.
    """

    def __init__(self, config: Any, spec: TextSpec) -> None:
        super().__init__(config, spec)
        self.opponent = Opponent(config.discriminator, spec, config.batch_size)

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for each player."""
        return {
            **self.pretraining_optimizer(self.config.pretraining),
            "generator": Adam(self.generator.parameters(), lr=self.config.learning_rate),
            **self.opponent.optimizer(),
        }

    def fakes(self, n: int) -> Tensor:
        """What the opponent learns to tell from real sentences, ``(n, T)``."""
        return self.sample(n)

    def after_pretraining(self, *moves: Move | Act) -> list[Stage]:
        """Either player by itself; then rounds of these moves, each followed by the opponent's."""
        return [
            self.pretrain_generator(self.config.pretraining),
            self.opponent.pretrain(self.fakes),
            Stage("adversarial", self.config.rounds, [*moves, *self.opponent.moves(self.fakes)]),
        ]
