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

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from textgan.errors import check_above_zero, check_fields
from textgan.game import Loss, Turn
from textgan.losses import ObjectiveName, accuracy
from textgan.parts.image_game import TINY_IMAGE_GAME, ConvolutionalGameConfig, ImageGame


@dataclass(frozen=True)
class Config(ConvolutionalGameConfig):
    """A loss with margins."""

    weight: float = 10.0
    """Of what is missing from the margins, lambda."""
    margin: float = 0.3
    """Its scale, tau: the margin of two images that differ by 1 in each number, where black and white differ by 2."""
    loss: ObjectiveName = "standard"
    """What the generator minimises: the loss of its images, ``-log s(score)``, is that of the standard objective."""

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
