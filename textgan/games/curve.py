"""The artist's curves: a GAN small enough to be watched on its way to the equilibrium (after Goodfellow et al., 2014).

An artist paints parabolas of 15 points, y = a x^2 + a - 1 with a ~ U(1, 2) and x in [-1, 1]. A novice draws 15 numbers
from 5 ideas z by a network of one hidden layer, a critic of the same kind tells the two apart::

    V(D, G) = E log D(y) + E log(1 - D(G(z)))      D maximises it, G minimises it (the paper's equation 1)

Where G paints like the artist, nobody can tell anything: D is 1/2 everywhere, right half of the time, and V is -2 ln 2
(theorem 1 of the paper). The report draws both beside these two values; they are its plot of the Nash equilibrium.

Differs from the paper: rectifiers, and Adam for both. Data and sizes are those of an exercise that is told in many
places. The game is the minimax game itself; ``loss: standard`` has the generator maximise E log D(G(z)) instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from textgan.errors import check_at_least
from textgan.game import Loss, Turn
from textgan.losses import ObjectiveName
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.series_game import SeriesGame
from textgan.parts.two_player import TwoPlayerConfig

EQUILIBRIUM = {"accuracy": 0.5, "value": -2 * math.log(2)}
"""What the discriminator's accuracy and the value of the game are where nothing can be told."""


@dataclass(frozen=True)
class Config(TwoPlayerConfig):
    """Two networks of one hidden layer."""

    rounds: int = 10_000
    """Rounds; each has one step of the generator."""
    loss: ObjectiveName = "saturating"
    """The adversarial objective."""
    latent: int = 5
    """Numbers of a latent vector: the ideas of a painting."""
    hidden: int = 128
    """Units of the hidden layer of either network."""
    optimizers: OptimizersConfig = field(
        default_factory=lambda: OptimizersConfig(generator=1e-4, discriminator=1e-4, beta1=0.9)
    )
    """How both sides learn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "hidden")


TINY = Config(batch_size=16, rounds=3, hidden=8)


class CurveGame(SeriesGame):
    """A novice and a critic."""

    usual: ClassVar[dict[str, Any]] = {"corpus": "curves"}
    config: Config

    def make_generator(self) -> nn.Module:
        window = self.spec.length, self.spec.channels
        layers = nn.Linear(self.config.latent, self.config.hidden), nn.ReLU()
        return nn.Sequential(*layers, nn.Linear(self.config.hidden, math.prod(window)), nn.Unflatten(1, window))

    def make_discriminator(self) -> nn.Module:
        first = nn.Linear(self.spec.length * self.spec.channels, self.config.hidden)
        last = nn.Linear(self.config.hidden, 1, bias=self.referee.objective.has_level)
        return nn.Sequential(nn.Flatten(), first, nn.ReLU(), last, nn.Flatten(0))

    def discriminator_loss(self, real: Tensor, turn: Turn) -> Loss:
        """Its info: accuracy and value, each as a figure in which the equilibrium is a line too."""
        loss = super().discriminator_loss(real, turn)
        lines = {
            f"{name}/{line}": value
            for name, found in loss.info.items()
            for line, value in {"game": found, "equilibrium": real.new_tensor(EQUILIBRIUM[name])}.items()
        }
        return loss._replace(info=lines)
