"""How the category of an image joins a generator and a discriminator."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from textgan.data.images.spec import ImageSpec
from textgan.networks.image_blocks import with_spectral_norm
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGenerator, ImageGeneratorConfig

JoinName = Literal["embedding", "product", "concatenation"]
"""How a vector x and a category y become one vector. embedding: [a(A x), a(e_y)], a hidden layer of each, for a combined
layer to follow (Mirza and Osindero 2014). product: a(A x) * e_y, number by number. concatenation: [x, 1_y]. a is leaky
ReLU, e_y a learned vector of the size of x, 1_y one-hot."""
SLOPE = 0.2


class Join(nn.Module):
    """Vectors ``(n, inputs)`` and categories ``(n,)`` as vectors ``(n, size)``."""

    def __init__(self, kind: JoinName, inputs: int, categories: int) -> None:
        super().__init__()
        self.kind, self.categories = kind, categories
        self.size = {"embedding": 2 * inputs, "product": inputs, "concatenation": inputs + categories}[kind]
        if kind != "concatenation":
            self.hidden = nn.Sequential(nn.Linear(inputs, inputs), nn.LeakyReLU(SLOPE))
            self.table = nn.Embedding(categories, inputs)

    def forward(self, x: Float[Tensor, "n inputs"], category: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        if self.kind == "concatenation":
            return torch.cat([x, nn.functional.one_hot(category, self.categories).to(x.dtype)], 1)
        hidden, embedded = self.hidden(x), self.table(category)
        if self.kind == "product":
            return hidden * embedded
        return torch.cat([hidden, nn.functional.leaky_relu(embedded, SLOPE)], 1)


class JoinedGenerator(nn.Module):
    """A generator of images that is given the latent vector and the category joined."""

    def __init__(
        self, config: ImageGeneratorConfig, spec: ImageSpec, inputs: int, join: JoinName = "embedding"
    ) -> None:
        super().__init__()
        self.join = Join(join, inputs, len(spec.categories))
        self.body = ImageGenerator(config, spec, self.join.size)

    def forward(
        self, latents: Float[Tensor, "n inputs"], category: Int[Tensor, " n"]
    ) -> Float[Tensor, "n channels height width"]:
        return self.body(self.join(latents, category))


class JoinedDiscriminator(nn.Module):
    """Scores of images and categories: a hidden layer of the image's features, joined with the category, one hidden
    layer of both, a score.

    Args:
        bias: of the last layer; without one where the objective does not see it.
    """

    def __init__(
        self, config: ImageDiscriminatorConfig, spec: ImageSpec, join: JoinName = "embedding", bias: bool = True
    ) -> None:
        super().__init__()
        hidden = 4 * config.width
        self.body = ImageDiscriminator(config, spec, outputs=hidden)
        self.join = Join(join, hidden, len(spec.categories))
        self.both = nn.Sequential(nn.LeakyReLU(SLOPE), nn.Linear(self.join.size, hidden), nn.LeakyReLU(SLOPE))
        self.output = nn.Linear(hidden, 1, bias=bias)
        if config.spectral:
            for added in (self.join, self.both, self.output):
                with_spectral_norm(added)

    def forward(
        self, images: Float[Tensor, "n channels height width"], category: Int[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        features = nn.functional.leaky_relu(self.body(images), SLOPE)
        return self.output(self.both(self.join(features, category))).squeeze(1)


class ProjectionDiscriminator(nn.Module):
    """Scores ``f(x, y) = psi(phi(x)) + <v_y, phi(x)>`` of images and categories (Miyato and Koyama 2018, equation 5).

    phi are the features of an `ImageDiscriminator`, psi its output, v_y a learned vector, under spectral normalisation
    where the discriminator is.
    """

    def __init__(self, config: ImageDiscriminatorConfig, spec: ImageSpec, bias: bool = True) -> None:
        super().__init__()
        self.body = ImageDiscriminator(config, spec, bias=bias)
        self.table = nn.Embedding(len(spec.categories), self.body.size)
        nn.init.normal_(self.table.weight, std=self.body.size**-0.5)
        if config.spectral:
            spectral_norm(self.table)

    def forward(
        self, images: Float[Tensor, "n channels height width"], category: Int[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        features = self.body.features(images)
        return self.body.judge(features) + (self.table(category) * features).sum(1)


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation whose gain and bias are linear in a condition: ``(1 + G c) * norm(x) + B c``.

    De Vries et al. (2017); the condition is a vector, in BigGAN one that all layers share.
    """

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Linear(condition, channels, bias=False)
        self.bias = nn.Linear(condition, channels, bias=False)

    def forward(
        self, maps: Float[Tensor, "n channels height width"], condition: Float[Tensor, "n size"]
    ) -> Float[Tensor, "n channels height width"]:
        gain, bias = (of(condition)[:, :, None, None] for of in (self.gain, self.bias))
        return (1 + gain) * self.norm(maps) + bias
