"""A generator of images against a discriminator: what most image GANs share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from textgan.data.images.spec import ImageSpec
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGenerator, ImageGeneratorConfig
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.two_player import TwoPlayerConfig, TwoPlayerGame


@dataclass(frozen=True)
class LatentImageGameConfig(TwoPlayerConfig):
    """Options of every game of images with a latent vector, whatever its networks are."""


@dataclass(frozen=True)
class ImageGameConfig(LatentImageGameConfig):
    """Options of those whose networks are a generator and a discriminator of the usual kinds."""

    generator: ImageGeneratorConfig = field(default_factory=ImageGeneratorConfig)
    discriminator: ImageDiscriminatorConfig = field(default_factory=ImageDiscriminatorConfig)


TINY_IMAGE_GAME: dict[str, Any] = {
    "batch_size": 16,
    "rounds": 3,
    "latent": 8,
    "generator": ImageGeneratorConfig(width=8),
    "discriminator": ImageDiscriminatorConfig(width=8),
}
"""Options of a game that plays in an instant."""


@dataclass(frozen=True)
class ConvolutionalGameConfig(ImageGameConfig):
    """The same with batch norm on both sides, and sizes and steps that suit small images."""

    rounds: int = 2000
    """Rounds; each has one step of the generator."""
    generator: ImageGeneratorConfig = field(default_factory=lambda: ImageGeneratorConfig(width=16))
    """The network that makes images."""
    discriminator: ImageDiscriminatorConfig = field(
        default_factory=lambda: ImageDiscriminatorConfig(width=16, norm="batch")
    )
    """The network that looks at them."""
    optimizers: OptimizersConfig = field(default_factory=lambda: OptimizersConfig(generator=1e-3, discriminator=1e-3))
    """How both sides learn."""


class LatentImageGame(TwoPlayerGame):
    """Two players, one stage. A subclass says what its networks are, and what its paper does otherwise."""

    data: ClassVar[str] = "images"
    spec: ImageSpec

    def __init__(self, config: LatentImageGameConfig, spec: ImageSpec) -> None:
        super().__init__(config, spec)

    def latents(self, n: int) -> Float[Tensor, "n size"]:
        """`n` latent vectors, on the generator's device."""
        return super().latents(n)

    def decode(self, latents: Float[Tensor, "n size"]) -> Float[Tensor, "n channels height width"]:
        """The images of latent vectors."""
        return super().decode(latents)

    def sample(self, n: int) -> Float[Tensor, "n channels height width"]:
        return super().sample(n)


class ImageGame(LatentImageGame):
    """The same with the usual networks."""

    config: ImageGameConfig

    def make_generator(self) -> torch.nn.Module:
        return ImageGenerator(self.config.generator, self.spec, self.config.latent)

    def make_discriminator(self) -> torch.nn.Module:
        return ImageDiscriminator(self.config.discriminator, self.spec, bias=self.referee.objective.has_level)
