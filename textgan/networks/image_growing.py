"""A generator and a discriminator that grow from the smallest size of an image to the image (Karras et al. 2018).

How far they have grown is one number: at 0 they see the smallest size; between k - 1 and k the layers of size k are
faded in; at k they are there. Parameters of sizes to come are there from the first, and unused.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec
from textgan.networks.image_blocks import MinibatchDeviation
from textgan.networks.image_pyramid import double, halve, pyramid_sizes
from textgan.networks.image_style import EqualisedConv, EqualisedLinear, PixelNorm


def place_of(growth: float) -> tuple[int, float]:
    """The level that is being grown or has been, and the share of its layers in what is seen: 2.25 is (3, 0.25)."""
    level = math.ceil(growth)
    return level, growth - level + 1


def widths_of(levels: int, width: int, most: int) -> list[int]:
    """Maps of each level, from the smallest size on: `width` of the image's, twice as many each level down."""
    return [min(width * 2**k, most) for k in reversed(range(levels))]


def shown(images: Float[Tensor, "n c height width"], growth: float, levels: int) -> Float[Tensor, "n c h w"]:
    """Real images as a discriminator that has grown so far sees them: shrunk, and faded as fakes are."""
    level, share = place_of(growth)
    small = halve(images, levels - 1 - level)
    if share == 1:
        return small
    return torch.lerp(double(halve(small), (small.shape[2], small.shape[3])), small, share)


class GrowingGenerator(nn.Module):
    """Two convolutions a size, each followed by a leaky rectifier and pixel norm; the image is linear in the last."""

    def __init__(self, spec: ImageSpec, latent: int, width: int, most: int) -> None:
        super().__init__()
        self.sizes = pyramid_sizes(spec.height, spec.width)
        widths = widths_of(len(self.sizes), width, most)
        start = (widths[0], *self.sizes[0])
        self.first = nn.Sequential(
            PixelNorm(),
            EqualisedLinear(latent, math.prod(start)),
            nn.Unflatten(1, start),
            nn.LeakyReLU(0.2),
            PixelNorm(),
        )
        self.second = _convolution(widths[0], widths[0], PixelNorm())
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(_convolution(a, b, PixelNorm()), _convolution(b, b, PixelNorm()))
                for a, b in pairwise(widths)
            ]
        )
        self.to_image = nn.ModuleList([EqualisedConv(w, spec.channels, 1, gain=1.0) for w in widths])

    def forward(self, latents: Float[Tensor, "n latent"], growth: float) -> Float[Tensor, "n c height width"]:
        """Images of the size that is reached, not bounded."""
        level, share = place_of(growth)
        before = maps = self.second(self.first(latents))
        for block, size in zip(self.blocks[:level], self.sizes[1:], strict=False):
            before, maps = maps, block(double(maps, size))
        images = self.to_image[level](maps)
        if share == 1:
            return images
        return torch.lerp(double(self.to_image[level - 1](before), self.sizes[level]), images, share)


class GrowingDiscriminator(nn.Module):
    """Its mirror image: two convolutions a size; at the end the deviation of the batch and two linear maps."""

    def __init__(self, spec: ImageSpec, width: int, most: int, bias: bool = True) -> None:
        """bias: of the last layer."""
        super().__init__()
        sizes = pyramid_sizes(spec.height, spec.width)
        widths = widths_of(len(sizes), width, most)
        self.from_image = nn.ModuleList([_convolution(spec.channels, w, kernel=1) for w in widths])
        self.blocks = nn.ModuleList(
            [nn.Sequential(_convolution(b, b), _convolution(b, a)) for a, b in pairwise(widths)]
        )
        compare = MinibatchDeviation()
        self.last = nn.Sequential(
            _convolution(widths[0], widths[0]),
            nn.Flatten(),
            compare,
            EqualisedLinear(widths[0] * math.prod(sizes[0]) + compare.extra, widths[0]),
            nn.LeakyReLU(0.2),
            EqualisedLinear(widths[0], 1, gain=1.0, bias=bias),
        )

    def forward(self, images: Float[Tensor, "n c height width"], growth: float) -> Float[Tensor, " n"]:
        """Scores of images of the size that is reached."""
        level, share = place_of(growth)
        maps = self.from_image[level](images)
        for k in reversed(range(level)):
            maps = halve(self.blocks[k](maps))
            if k == level - 1 and share < 1:
                maps = torch.lerp(self.from_image[k](halve(images)), maps, share)
        return self.last(maps).squeeze(1)


def _convolution(inputs: int, outputs: int, *norm: nn.Module, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(EqualisedConv(inputs, outputs, kernel), nn.LeakyReLU(0.2), *norm)
