"""Context encoders: feature learning by inpainting (Pathak, Krahenbuhl, Donahue, Darrell and Efros, 2016).

An encoder reads an image whose middle is missing, a decoder makes the middle. With the truth x in the hole and the fake
G(s) there (equations 1 to 3)::

    L_G = 0.999 E (x - G(s))^2 - 0.001 E log D(G(s))         L_D = -E log D(x) - E log(1 - D(G(s)))

Squares are means over the hole's numbers. The discriminator is shown what is in the hole, and nothing around it
(section 3.2). Around the hole every number of the source is kept.

Differs from the paper: encoder and decoder meet in a vector, as in the authors' code, not in a layer that is connected
map by map; the hole is the square in the middle alone; no seam around the hole that is predicted too and weighs ten
times as much; both learn equally fast, for a generator that learns ten times as fast; widths and depth follow the size
of the images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.images.pairs import PairSpec, hole_of
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError, check_at_least
from textgan.game import Loss, Turn
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.networks.image_encoders import ImageEncoder
from textgan.networks.image_generators import ImageGenerator, ImageGeneratorConfig
from textgan.parts.translation_game import Batch, TranslationConfig, TranslationGame, squared_distance


@dataclass(frozen=True)
class Config(TranslationConfig):
    """An encoder of what is there, a decoder of what is missing."""

    adversarial: float = 1e-3
    """Weight of the objective's half in the generator's loss."""
    error: float = 0.999
    """Weight of the mean squared error."""
    bottleneck: int = 128
    """Numbers between encoder and decoder."""
    encoder: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """The encoder, of the layers of a discriminator."""
    generator: ImageGeneratorConfig = field(default_factory=ImageGeneratorConfig)
    """The decoder."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """The discriminator of holes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "bottleneck")
        check_at_least(0, "game", self, "error")


TINY = Config(
    batch_size=16,
    rounds=3,
    bottleneck=8,
    encoder=ImageDiscriminatorConfig(width=8, norm="batch"),
    generator=ImageGeneratorConfig(width=8),
    discriminator=ImageDiscriminatorConfig(width=8, norm="batch"),
)


class Inpainting(TranslationGame):
    """A generator of the middle of an image, and a discriminator of middles."""

    data: ClassVar[str] = "image_pairs"
    usual: ClassVar[Mapping[str, Any]] = {"data": {"source": "hole"}}
    config: Config
    spec: PairSpec

    def __init__(self, config: Config, spec: PairSpec) -> None:
        if spec.source.shape != spec.shape:
            raise UserError(
                f"sources have the shape {spec.source.shape}, targets {spec.shape}; equal ones are accepted, as all "
                "around the hole is kept: data.source hole"
            )
        self.rows, self.columns = hole_of(spec.height, spec.width)
        super().__init__(config, spec)

    @property
    def hole(self) -> ImageSpec:
        """What is missing, by itself."""
        height, width = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        return ImageSpec(self.spec.channels, height, width, self.spec.train_size)

    def make_generator(self) -> nn.Sequential:
        """From a source to what is in its hole."""
        encoder = ImageEncoder(self.config.encoder, self.spec.source, self.config.bottleneck)
        return nn.Sequential(encoder, ImageGenerator(self.config.generator, self.hole, self.config.bottleneck))

    def make_discriminator(self) -> ImageDiscriminator:
        return ImageDiscriminator(self.config.discriminator, self.hole, bias=self.referee.objective.has_level)

    def sample(
        self, n: int, source: Float[Tensor, "n channels height width"]
    ) -> Float[Tensor, "n channels height width"]:
        """The given images with their holes filled."""
        made = source.clone()
        made[:, :, self.rows, self.columns] = self.generator(source).to(made.dtype)
        return made

    def discriminator_loss(self, batch: Batch, turn: Turn) -> Loss:
        return super().discriminator_loss(self.seen(batch), turn)

    def generator_loss(self, batch: Batch, turn: Turn) -> Loss:
        return super().generator_loss(self.seen(batch), turn)

    def likeness(self, fake: Tensor, source: Tensor, real: Tensor) -> dict[str, Tensor]:
        return {"error": self.config.error * squared_distance(fake, real)}

    def seen(self, batch: Batch) -> Batch:
        """Sources, and what is in the holes of the truth."""
        source, real = batch
        return source, real[:, :, self.rows, self.columns]
