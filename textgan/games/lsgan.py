"""LSGAN: scores are drawn to labels by least squares (Mao et al., 2017).

With the labels a of fakes and b of real images, and c for what the generator wants fakes to be taken for (equation 2)::

    L_D = 1/2 E (D(x) - b)^2 + 1/2 E (D(G(z)) - a)^2        L_G = 1/2 E (D(G(z)) - c)^2

Fakes on the right side of the boundary but far from it still have a gradient. ``labels: 0 1 1`` is equation 9; with
b - c = 1 and b - a = 2, as ``labels: -1 1 0`` has it (equation 8), the generator lowers the Pearson divergence
``E_q (p - q)^2 / (p + q) / q`` of p + q and 2 q, p and q being the densities of real images and of fakes.

Differs from the paper: DCGAN's layers, whose widths and depth follow the size of the images, for those of its table 1;
latents are Gaussian.
"""

from __future__ import annotations

from dataclasses import dataclass

from textgan.errors import check_fields
from textgan.losses import ObjectiveName, least_squares
from textgan.parts.image_game import TINY_IMAGE_GAME, ConvolutionalGameConfig, ImageGame
from textgan.parts.referee import Referee


@dataclass(frozen=True)
class Config(ConvolutionalGameConfig):
    """Least squares."""

    loss: ObjectiveName = "least_squares"
    """The adversarial objective. No other has labels."""
    labels: tuple[float, float, float] = (0.0, 1.0, 1.0)
    """What the discriminator wants of fakes and of real images, and the generator of its fakes: a, b and c."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields("game", self, "'least_squares'", lambda name: name == "least_squares", "loss")
        check_fields("game", self, "a, b and c with a < b and a < c", lambda x: x[0] < min(x[1:]), "labels")


TINY = Config(**TINY_IMAGE_GAME)


class LSGAN(ImageGame):
    """A generator and a discriminator that is no classifier."""

    config: Config

    def make_referee(self) -> Referee:
        return Referee(self.config.loss, self.config.tricks, least_squares(*self.config.labels))
