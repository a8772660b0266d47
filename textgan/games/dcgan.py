"""DCGAN: a GAN of convolutions (Radford, Metz and Chintala, 2016).

Transposed convolutions with batch norm and rectifiers from a latent vector to an image (tanh); strided convolutions
with leaky rectifiers from an image to a score; weights from N(0, 0.02^2); Adam with beta1 0.5. The losses are those of
the non-saturating game::

    L_D = -E log D(x) - E log(1 - D(G(z)))        L_G = -E log D(G(z))

``discriminator.spectral: true`` with ``loss: hinge`` makes it SNGAN's (Miyato et al., 2018).

Differs from the paper: the last layer of the generator keeps the size and has kernels of 3; widths and depth follow the
size of the images; latents are Gaussian.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.parts.image_game import ImageGame, ImageGameConfig


@dataclass(frozen=True)
class Config(ImageGameConfig):
    """Convolutions both ways."""

    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """The network that tells them from real ones."""


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    generator=ImageGeneratorConfig(width=8),
    discriminator=ImageDiscriminatorConfig(width=8, norm="batch"),
)


class DCGAN(ImageGame):
    """A convolutional generator and discriminator."""
