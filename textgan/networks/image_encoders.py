"""From images to codes, to distributions of codes, and back to images."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGenerator, ImageGeneratorConfig


class Posterior(NamedTuple):
    """q(z|x) = N(mean, diag(exp(log_variance))), a row for each image."""

    mean: Float[Tensor, "n size"]
    log_variance: Float[Tensor, "n size"]

    def draw(self) -> Float[Tensor, "n size"]:
        """``mean + deviation * e``, e ~ N(0, I): the gradient reaches both (Kingma and Welling 2014, section 2.4)."""
        return self.mean + (self.log_variance / 2).exp() * torch.randn_like(self.mean)

    def divergence(self) -> Float[Tensor, " n"]:
        """``KL(q(z|x) || N(0, I)) = 1/2 sum (mean^2 + variance - 1 - log variance)``, in nats, of each image.

        Kingma and Welling 2014, appendix B.
        """
        mean, log_variance = self.mean.float(), self.log_variance.float()
        return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2


class ImageEncoder(nn.Module):
    """From an image to `size` numbers, by the layers of a discriminator.

    Args:
        categories: how many there are, where it is told the image's; each is a map of its own, 1 or 0 everywhere.
    """

    def __init__(self, config: ImageDiscriminatorConfig, spec: ImageSpec, size: int, categories: int = 0) -> None:
        super().__init__()
        if config.minibatch != "none":
            raise UserError(f"the encoder's minibatch is {config.minibatch!r}; a code is of one image: it must be none")
        self.categories = categories
        self.body = ImageDiscriminator(config, spec, outputs=size, extra=categories)

    def forward(
        self, images: Float[Tensor, "n channels height width"], category: Int[Tensor, " n"] | None = None
    ) -> Float[Tensor, "n size"]:
        if category is not None:
            told = F.one_hot(category, self.categories).to(images.dtype)[:, :, None, None]
            images = torch.cat([images, told.expand(-1, -1, *images.shape[2:])], 1)
        return self.body(images).view(len(images), -1)


class GaussianEncoder(nn.Module):
    """From an image, and its category where there are any, to a `Posterior` of `size` numbers."""

    def __init__(self, config: ImageDiscriminatorConfig, spec: ImageSpec, size: int, categories: int = 0) -> None:
        super().__init__()
        self.body = ImageEncoder(config, spec, 2 * size, categories)

    def forward(
        self, images: Float[Tensor, "n channels height width"], category: Int[Tensor, " n"] | None = None
    ) -> Posterior:
        return Posterior(*self.body(images, category).chunk(2, 1))


class ImageAutoencoder(nn.Module):
    """An image from the code of an image."""

    def __init__(
        self, encoder: ImageDiscriminatorConfig, decoder: ImageGeneratorConfig, spec: ImageSpec, size: int
    ) -> None:
        super().__init__()
        self.encoder = ImageEncoder(encoder, spec, size)
        self.decoder = ImageGenerator(decoder, spec, size)

    def forward(
        self, images: Float[Tensor, "n channels height width"]
    ) -> tuple[Float[Tensor, "n channels height width"], Float[Tensor, "n size"]]:
        """The images again, and their codes."""
        codes = self.encoder(images)
        return self.decoder(codes), codes
