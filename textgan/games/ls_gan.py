"""Loss-sensitive GAN: fakes must cost more than real images, by as much as they differ (Qi, 2017).

The discriminator is a loss L >= 0 of images. That of a real image is to lie below that of a fake by their distance, a
margin that vanishes as fakes become real (equations 6 and 7)::

    L_D = E L(x) + lambda E [Delta(x, G(z)) + L(x) - L(G(z))]+,   Delta = tau E |x - G(z)|
    L_G = E L(G(z))

pairs are row by row. L is ``log(1 + exp(-score))``, so that the score is high for what is real.

Differs from the paper: L is softplus, where the author's code has a rectifier, behind which nothing learns once all
images cost nothing; the L1 distance is a mean over numbers, which makes the margin's scale tau independent of the
images' size; no weight decay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from textgan.errors import check_above_zero, check_fields
from textgan.game import Loss, Turn
from textgan.losses import ObjectiveName, accuracy
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.parts.image_game import TINY_IMAGE_GAME, ImageGame, ImageGameConfig
from textgan.parts.optimizers import OptimizersConfig


@dataclass(frozen=True)
class Config(ImageGameConfig):
    """A loss with margins."""

    rounds: int = 2000
    """Rounds; each has one step of the generator."""
    weight: float = 10.0
    """Of what is missing from the margins, lambda."""
    margin: float = 1.0
    """Its scale, tau: the margin of two images that differ by 1 in each number, where black and white differ by 2."""
    loss: ObjectiveName = "standard"
    """What the generator minimises: the loss of its images, ``-log s(score)``, is that of the standard objective."""
    generator: ImageGeneratorConfig = field(default_factory=lambda: ImageGeneratorConfig(width=16))
    """The network that makes images."""
    discriminator: ImageDiscriminatorConfig = field(
        default_factory=lambda: ImageDiscriminatorConfig(width=16, norm="batch")
    )
    """The network under the loss."""
    optimizers: OptimizersConfig = field(default_factory=lambda: OptimizersConfig(generator=1e-3, discriminator=1e-3))
    """How both sides learn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_above_zero("game", self, "weight", "margin")
        check_fields("game", self, "'standard'", lambda name: name == "standard", "loss")
        check_fields("game", self, "without label tricks", lambda tricks: not tricks.changes_labels, "tricks")


TINY = Config(**TINY_IMAGE_GAME)


class LossSensitiveGAN(ImageGame):
    """A generator and a loss function."""

    config: Config

    def discriminator_loss(self, real: Tensor, turn: Turn) -> Loss:
        with torch.no_grad():
            fake = self.sample(len(real))
        of_real, of_fake = self.referee.scores(self.discriminator, real, fake, turn)
        costs = loss_of(of_real), loss_of(of_fake)
        margin = self.config.margin * (real - fake).abs().flatten(1).mean(1)
        missing = F.relu(margin + costs[0] - costs[1]).mean()
        return Loss(
            {"real": costs[0].mean(), "margin": self.config.weight * missing},
            {"accuracy": accuracy(of_real, of_fake), "distance": margin.mean()},
        )


def loss_of(scores: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """``log(1 + exp(-score))``, of each image."""
    return F.softplus(-scores.float())
