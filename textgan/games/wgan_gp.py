"""WGAN-GP: Wasserstein GAN with a gradient penalty (Gulrajani et al., 2017).

The critic estimates the Wasserstein distance of real images and fakes; that it be 1-Lipschitz is asked for on straight
lines between them (equation 3)::

    L_D = E f(G(z)) - E f(x) + 10 E (|grad f(x^)| - 1)^2,   x^ = e x + (1 - e) G(z), e ~ U(0, 1) for each pair
    L_G = -E f(G(z))

Norms are taken image by image, hence no batch norm in the critic; Adam has beta1 0, beta2 0.9, and the critic five
steps a round.

Differs from the paper: widths and depth follow the size of the images; DCGAN's layers by default, residual blocks with
``generator.kind: resnet`` and ``discriminator.kind: resnet``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from textgan.errors import UserError, check_above_zero
from textgan.losses import ObjectiveName, gradient_penalty
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.parts.image_game import TINY_IMAGE_GAME, ImageGame, ImageGameConfig
from textgan.parts.optimizers import OptimizersConfig


@dataclass(frozen=True)
class Config(ImageGameConfig):
    """A critic with a penalty."""

    rounds: int = 1200
    """Rounds; each has one step of the generator."""
    discriminator_steps: int = 5
    """Steps of the critic a round."""
    loss: ObjectiveName = "wasserstein"
    """The adversarial objective."""
    penalty: float = 10.0
    """Weight of the gradient penalty."""
    generator: ImageGeneratorConfig = field(default_factory=lambda: ImageGeneratorConfig(width=16))
    """The network that makes images."""
    discriminator: ImageDiscriminatorConfig = field(
        default_factory=lambda: ImageDiscriminatorConfig(width=16, init_std=0.1)
    )
    """The critic. A small start would leave it flat for long, far from a slope of one."""
    optimizers: OptimizersConfig = field(
        default_factory=lambda: OptimizersConfig(generator=1e-3, discriminator=1e-3, beta1=0.0, beta2=0.9)
    )
    """How both sides learn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_above_zero("game", self, "penalty")
        if self.discriminator.norm == "batch":
            raise UserError("game.discriminator.norm is 'batch'; under a penalty it must be none, instance or layer")


TINY = Config(**TINY_IMAGE_GAME, discriminator_steps=2)


class WGANGP(ImageGame):
    """A generator and a critic."""

    config: Config

    def penalties(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        return {"penalty": self.config.penalty * gradient_penalty(self.discriminator, real, fake)}
