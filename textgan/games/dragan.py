"""DRAGAN: the discriminator's slope is held at one around real images (Kodali, Abernethy, Hays and Kira, 2017).

The non-saturating game with a penalty at real images moved a little, each number by its own u ~ U(0, 1)::

    L_D = -E log D(x) - E log(1 - D(G(z))) + 10 E (|grad D(x^)| - 1)^2,   x^ = x + e / 2 std(x) u,  e ~ U(0, 1)
    L_G = -E log D(G(z))

std(x) is that of all numbers of the batch; norms are taken image by image, hence no batch norm in the discriminator.
Unlike WGAN-GP's the penalty does not look at fakes: no sharp slope next to the data, which makes the generator's own
images all alike.

Differs from the paper: there the noise is Gaussian; uniform and halved it is as in the authors' code, and so is e,
which moves an image by a part of it. The slope is that of the logit. Widths and depth follow the size of the images.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from textgan.errors import UserError, check_above_zero
from textgan.losses import gradient_penalty
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.parts.image_game import TINY_IMAGE_GAME, ImageGame, ImageGameConfig
from textgan.parts.optimizers import OptimizersConfig


@dataclass(frozen=True)
class Config(ImageGameConfig):
    """A penalty around real images."""

    rounds: int = 2500
    """Rounds; each has one step of the generator."""
    penalty: float = 10.0
    """Weight of the gradient penalty."""
    reach: float = 0.5
    """How far images are moved, in standard deviations of the batch's numbers."""
    generator: ImageGeneratorConfig = field(default_factory=lambda: ImageGeneratorConfig(width=16))
    """The network that makes images."""
    discriminator: ImageDiscriminatorConfig = field(
        default_factory=lambda: ImageDiscriminatorConfig(width=16, init_std=0.1)
    )
    """The network that tells them from real ones. A small start would leave it flat for long."""
    optimizers: OptimizersConfig = field(default_factory=lambda: OptimizersConfig(generator=1e-3, discriminator=4e-3))
    """How both sides learn. The penalty slows the discriminator, which has larger steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_above_zero("game", self, "penalty", "reach")
        if self.discriminator.norm == "batch":
            raise UserError("game.discriminator.norm is 'batch'; under a penalty it must be none, instance or layer")


TINY = Config(**TINY_IMAGE_GAME)


class DRAGAN(ImageGame):
    """A generator and a discriminator that is smooth where the data are."""

    config: Config

    def penalties(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        moved = real + self.config.reach * real.std() * torch.rand_like(real)
        return {"penalty": self.config.penalty * gradient_penalty(self.discriminator, real, moved)}
