"""GRAN: generating images with recurrent adversarial networks (Im, Kim, Jiang and Memisevic, 2016).

The generator paints in T steps. A decoder f makes each stroke from the latent and from what an encoder g has seen of
the stroke before::

    h_z = tanh(W z + b)      h_1 = 0      h_t = tanh(g(dC_{t-1}))      dC_t = f([h_z, h_t])      x = tanh(sum_t dC_t)

and all steps have the same weights. The game is the non-saturating one::

    L_D = -E log D(x) - E log(1 - D(G(z)))        L_G = -E log D(G(z))

`textgan.metrics.battle` is the paper's measure, in which the discriminators of two models judge each other's samples.

Differs from the paper: tanh for the sigmoid, images being in [-1, 1]; each step is normalised by itself (layer norm),
because the statistics of a batch differ from step to step; sizes are for small images.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from textgan.errors import check_at_least
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.networks.image_recurrent import RecurrentGenerator
from textgan.parts.image_game import ImageGame, ImageGameConfig


@dataclass(frozen=True)
class Config(ImageGameConfig):
    """A painter."""

    steps: int = 3
    """T: strokes of an image, at least 2. The paper: 3 and 5."""
    generator: ImageGeneratorConfig = field(default_factory=lambda: ImageGeneratorConfig(norm="layer"))
    """The decoder."""
    encoder: ImageDiscriminatorConfig = field(default_factory=ImageDiscriminatorConfig)
    """What looks at the stroke before."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """The opponent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(2, "game", self, "steps")


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    generator=ImageGeneratorConfig(width=8, norm="layer"),
    encoder=ImageDiscriminatorConfig(width=8),
    discriminator=ImageDiscriminatorConfig(width=8, norm="batch"),
)


class GRAN(ImageGame):
    """A recurrent generator and DCGAN's discriminator."""

    config: Config
    generator: RecurrentGenerator

    def make_generator(self) -> RecurrentGenerator:
        c = self.config
        return RecurrentGenerator(c.generator, c.encoder, self.spec, c.latent, c.steps)

    def sheets(self) -> dict[str, Float[Tensor, "rows columns channels height width"]]:
        """The canvas after every step; a row is an image."""
        return {"canvas": self.generator.canvases(self.latents(8))}
