"""pix2pix: image-to-image translation with conditional adversarial networks (Isola, Zhu, Zhou and Efros, 2017).

A U-Net makes an image of a given one, s. The discriminator is shown s too and judges patches, each vote seeing a small
part (PatchGAN); the game is the non-saturating one of every vote, and the image must be near the truth x (equation 4)::

    L_D = -E log D(s, x) - E log(1 - D(s, G(s)))        L_G = -E log D(s, G(s)) + 100 E |x - G(s)|_1

The noise is dropout on the way up. It is on when images are sampled too, as the paper has it (section 3.2): two samples
of one source differ.

Differs from the paper: widths, depth and the field of a vote (70 of 256 pixels a side) follow the size of the images;
batch norm in batches of many and, when images are sampled, with the mean and the deviation of training, where the paper
has those of the one image; L_D is not halved, which Adam does not see; no jitter and no mirror images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from textgan.data.images.pairs import PairSpec
from textgan.errors import check_at_least
from textgan.networks.image_patches import PatchDiscriminator, PatchDiscriminatorConfig
from textgan.networks.image_unet import UNet, UNetConfig
from textgan.parts.referee import Score
from textgan.parts.translation_game import TranslationConfig, TranslationGame, beside, distance


@dataclass(frozen=True)
class Config(TranslationConfig):
    """A U-Net and a discriminator of patches."""

    generator: UNetConfig = field(default_factory=UNetConfig)
    """The U-Net."""
    discriminator: PatchDiscriminatorConfig = field(default_factory=PatchDiscriminatorConfig)
    """The discriminator of patches."""
    distance: float = 100.0
    """Weight of the mean absolute error."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(0, "game", self, "distance")


TINY = Config(batch_size=16, rounds=3, generator=UNetConfig(width=8), discriminator=PatchDiscriminatorConfig(width=8))


class Pix2Pix(TranslationGame):
    """A generator of images of given ones, and a discriminator that is shown both."""

    data: ClassVar[str] = "image_pairs"
    config: Config
    spec: PairSpec

    def make_generator(self) -> UNet:
        return UNet(self.config.generator, self.spec.source, self.spec)

    def make_discriminator(self) -> PatchDiscriminator:
        extra, bias = self.spec.source_channels, self.referee.objective.has_level
        return PatchDiscriminator(self.config.discriminator, self.spec, extra, bias)

    def judges(self, source: Tensor) -> Sequence[Score]:
        return [lambda images: self.discriminator(beside(source, images))]

    def likeness(self, fake: Tensor, source: Tensor, real: Tensor) -> dict[str, Tensor]:
        return {"distance": self.config.distance * distance(fake, real)}
