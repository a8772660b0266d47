"""zi2zi: characters of one font in the style of others, by a conditional GAN (Tian, 2017; after Isola et al., 2017).

A U-Net G draws the source s, a character in a font that all are given in, in the style k, which is a learned vector
beside the smallest maps. Its way down, E, must encode a character as the same in whatever style it is drawn. The
discriminator is shown the source too, and says, beside its score, which style a character x has::

    L_D = -E log D(s, x) - E log(1 - D(s, G)) - 1/2 E log C(k | s, x) - 1/2 E log C(k | s, G)
    L_G = -E log D(s, G) + 100 E |x - G| + 15 E (E(s) - E(G))^2 - E log C(k | s, G),      G = G(s, k)

The errors are means over numbers. One network draws all styles, so that what one shows of a character helps the others.

Differs from the paper: there is none, but a program and what its author says of it. The style is a class of softmax,
not a bit of its own for each style; there are no further fakes of styles that are drawn at random; no batch norm in
the smallest maps; dropout on the way up is off by default, as a character in a style has one right image; widths and
depth follow the size of the images; constant step sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.images.glyphs import Glyphs, GlyphSpec
from textgan.errors import check_at_least
from textgan.game import Loss, Turn
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.networks.image_fonts import StyledUNet
from textgan.networks.image_unet import UNetConfig
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.spoken_scores import SpokenScores
from textgan.parts.translation_game import TranslationConfig, TranslationGame, beside, distance, squared_distance


@dataclass(frozen=True)
class Config(TranslationConfig):
    """A U-Net with styles, and a discriminator that names them."""

    rounds: int = 500
    """Rounds; each has one step of the generator."""
    optimizers: OptimizersConfig = field(default_factory=lambda: OptimizersConfig(generator=1e-3, discriminator=1e-3))
    """How both learn; the original's step size."""

    generator: UNetConfig = field(default_factory=lambda: UNetConfig(dropout=0.0))
    """The U-Net."""
    style: int = 32
    """Numbers of a style's vector; the original has 128."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """What tells real characters from fakes, and styles from each other."""
    distance: float = 100.0
    """Weight of the mean absolute error."""
    constancy: float = 15.0
    """Weight of the mean squared difference of the codes of a source and of what is drawn of it."""
    style_weight: float = 1.0
    """What the styles weigh against the scores, on both sides."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "style")
        check_at_least(0, "game", self, "distance", "constancy", "style_weight")


TINY = Config(
    batch_size=16,
    rounds=3,
    generator=UNetConfig(width=8, dropout=0.0),
    style=4,
    discriminator=ImageDiscriminatorConfig(width=8, norm="batch"),
)


class Zi2zi(TranslationGame):
    """A generator of characters in a style, and a discriminator that is shown the source as well."""

    data: ClassVar[str] = "glyphs"
    config: Config
    spec: GlyphSpec
    generator: StyledUNet

    def make_generator(self) -> StyledUNet:
        return StyledUNet(self.config.generator, self.spec, self.config.style)

    def make_discriminator(self) -> nn.Module:
        outputs, extra = 1 + len(self.spec.styles), self.spec.source_channels
        return ImageDiscriminator(self.config.discriminator, self.spec, outputs, extra)

    def sample(  # type: ignore[override]
        self, n: int, source: Float[Tensor, "n channels height width"], style: Int[Tensor, " n"]
    ) -> Float[Tensor, "n channels2 height2 width2"]:
        """Each of `n` characters in its style."""
        return self.generator(source, style)

    def scores(self, source: Tensor) -> SpokenScores:
        """The discriminator's, of images that are made of `source`."""
        return SpokenScores(lambda images: self.discriminator(beside(source, images)))

    def discriminator_loss(self, batch: Glyphs, turn: Turn) -> Loss:  # type: ignore[override]
        with torch.no_grad():
            fake = self.generator(batch.source, batch.style)
        scores = self.scores(batch.source)
        loss = self.referee.discriminator(scores, batch.target, fake, turn)
        of_real, of_fake = scores.of_last(2 * len(fake)).chunk(2)
        styles = {
            "style_real": self.style_loss(of_real, batch.style) / 2,
            "style_fake": self.style_loss(of_fake, batch.style) / 2,
        }
        right = (of_real.argmax(1) == batch.style).float().mean()
        return Loss({**loss.terms, **styles}, {**loss.info, "style_accuracy": right})

    def generator_loss(self, batch: Glyphs, turn: Turn) -> Loss:  # type: ignore[override]
        passed = self.generator.body.encode(batch.source)
        fake = self.generator.draw(passed, batch.style)
        scores = self.scores(batch.source)
        return Loss(
            {
                "adversarial": self.deceived([scores], batch.target, fake, turn),
                "distance": self.config.distance * distance(fake, batch.target),
                "constancy": self.config.constancy * squared_distance(self.generator.code(fake), passed[-1]),
                "style": self.style_loss(scores.of_last(len(fake)), batch.style),
            }
        )

    def style_loss(self, logits: Float[Tensor, "n styles"], style: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """``-E log C(k | s, x)``, weighted."""
        return self.config.style_weight * F.cross_entropy(logits.float(), style)
