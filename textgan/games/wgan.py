"""WGAN: a critic of clipped weights (Arjovsky, Chintala and Bottou, 2017).

The critic f estimates the Wasserstein distance of real images and fakes, up to a factor, the generator lowers the
estimate (equation 2 and algorithm 1)::

    L_D = E f(G(z)) - E f(x)        L_G = -E f(G(z))

After each of the critic's steps every one of its parameters is clipped to [-c, c], which bounds its slope; it has five
steps a round, and both sides have RMSprop, momentum being of no help to a critic that is never at rest. The value in
the log is the estimate.

Differs from the paper: the critic has no hundred steps in the first 25 rounds and in each five hundredth, as its code
has; step sizes and the bound are larger, 0.001 and 0.05 for 0.00005 and 0.01, as the default networks and images are
small; widths and depth follow the size of the images.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from textgan.errors import check_above_zero
from textgan.losses import ObjectiveName
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.parts.image_game import TINY_IMAGE_GAME, ImageGame, ImageGameConfig
from textgan.parts.optimizers import OptimizersConfig


@dataclass(frozen=True)
class Config(ImageGameConfig):
    """A critic of clipped weights."""

    rounds: int = 1800
    """Rounds; each has one step of the generator."""
    discriminator_steps: int = 5
    """Steps of the critic a round."""
    loss: ObjectiveName = "wasserstein"
    """The adversarial objective."""
    clip: float = 0.05
    """Largest size of a parameter of the critic."""
    generator: ImageGeneratorConfig = field(default_factory=lambda: ImageGeneratorConfig(width=16))
    """The network that makes images."""
    discriminator: ImageDiscriminatorConfig = field(
        default_factory=lambda: ImageDiscriminatorConfig(width=16, norm="batch")
    )
    """The critic."""
    optimizers: OptimizersConfig = field(
        default_factory=lambda: OptimizersConfig(kind="rmsprop", generator=1e-3, discriminator=1e-3)
    )
    """How both sides learn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_above_zero("game", self, "clip")


TINY = Config(**TINY_IMAGE_GAME, discriminator_steps=2)


class WGAN(ImageGame):
    """A generator and a critic."""

    config: Config

    def after_discriminator(self) -> None:
        for parameter in self.discriminator.parameters():
            parameter.clamp_(-self.config.clip, self.config.clip)
