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
"""How a vector x and a category y become one vector. embedding: [x, e_y], for a combined layer to follow (Mirza
and Osindero 2014). product: x * e_y, number by number. concatenation: [x, 1_y]. e_y is a learned vector of the size of
x, 1_y one-hot, of the length sqrt(size of x), which x has if its numbers are about 1."""
SLOPE = 0.2


class Join(nn.Module):
    """Vectors ``(n, inputs)`` and categories ``(n,)`` as vectors ``(n, size)``."""

    def __init__(self, kind: JoinName, inputs: int, categories: int) -> None:
        super().__init__()
        self.kind, self.inputs, self.categories = kind, inputs, categories
        self.size = {"embedding": 2 * inputs, "product": inputs, "concatenation": inputs + categories}[kind]
        if kind != "concatenation":
            self.table = nn.Embedding(categories, inputs)

    def forward(self, x: Float[Tensor, "n inputs"], category: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        if self.kind == "concatenation":
            return torch.cat([x, self.inputs**0.5 * nn.functional.one_hot(category, self.categories).to(x.dtype)], 1)
        embedded = self.table(category)
        return x * embedded if self.kind == "product" else torch.cat([x, embedded], 1)


class JoinedGenerator(nn.Module):
    """A generator of images that is given the latent vector and the category joined.

    In a product a hidden layer of the latent vector is: one with latents of a symmetric distribution would lose all
    signs of e_y.
    """

    def __init__(self, config: ImageGeneratorConfig, spec: ImageSpec, inputs: int, join: JoinName = "product") -> None:
        super().__init__()
        self.hidden = hidden_layer(nn.Linear(inputs, inputs)) if join == "product" else nn.Identity()
        self.join = Join(join, inputs, len(spec.categories))
        self.body = ImageGenerator(config, spec, self.join.size)

    def forward(
        self, latents: Float[Tensor, "n inputs"], category: Int[Tensor, " n"]
    ) -> Float[Tensor, "n channels height width"]:
        return self.body(self.join(self.hidden(latents), category))


class JoinedDiscriminator(nn.Module):
    """Scores of images and categories: a hidden layer of the image's features, joined with the category, a hidden layer
    of both, a score.

    Args:
        bias: of the last layer; without one where the objective does not see it.
    """

    def __init__(
        self, config: ImageDiscriminatorConfig, spec: ImageSpec, join: JoinName = "product", bias: bool = True
    ) -> None:
        super().__init__()
        size = 4 * config.width
        self.body = ImageDiscriminator(config, spec, outputs=size)
        self.join = Join(join, size, len(spec.categories))
        self.both = hidden_layer(nn.Linear(self.join.size, size))
        self.output = nn.Linear(size, 1, bias=bias)
        if config.spectral:
            with_spectral_norm(self.both)
            with_spectral_norm(self.output)

    def forward(
        self, images: Float[Tensor, "n channels height width"], category: Int[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        hidden = nn.functional.leaky_relu(self.body(images), SLOPE)
        return self.output(self.both(self.join(hidden, category))).squeeze(1)


def hidden_layer(linear: nn.Linear) -> nn.Sequential:
    """A linear map that keeps the size of its inputs' numbers, and a leaky rectifier (He et al. 2015)."""
    nn.init.kaiming_normal_(linear.weight, SLOPE)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(linear, nn.LeakyReLU(SLOPE))


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
