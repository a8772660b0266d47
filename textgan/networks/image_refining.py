"""Generators of images of captions: a small image first, a large one of it, or a tree of all sizes at once."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.images.captions import CaptionedSpec
from textgan.networks.image_blocks import draw_weights, norm_of
from textgan.networks.image_captions import Augmentation, CaptionConfig
from textgan.networks.image_encoders import Posterior
from textgan.networks.image_generators import ImageGenerator, ImageGeneratorConfig
from textgan.networks.image_pyramid import double, pyramid_sizes
from textgan.networks.image_resnet import halvings_for


class Painted(NamedTuple):
    """Images, and what their conditions were drawn from."""

    images: Tensor
    condition: Posterior


class CaptionedGenerator(nn.Module):
    """An image of a latent vector and a condition drawn for a caption, side by side (StackGAN's stage I)."""

    def __init__(self, config: ImageGeneratorConfig, captions: CaptionConfig, spec: CaptionedSpec, latent: int) -> None:
        super().__init__()
        self.condition = Augmentation(captions, spec)
        self.body = ImageGenerator(config, spec, latent + self.condition.size)

    def forward(self, latents: Float[Tensor, "n latent"], caption: Int[Tensor, "n length"]) -> Painted:
        condition = self.condition(caption)
        return Painted(self.body(torch.cat([latents, condition.draw()], 1)), condition)


class RefiningGenerator(nn.Module):
    """A large image of a small one and a caption (StackGAN's stage II: Zhang et al. 2017, section 3.4).

    The small image becomes maps, halved down to 8 pixels a side, twice at most; a condition drawn for the caption joins
    them, the same at every place; residual blocks; and as many doublings as it takes.

    Args:
        low: height and width of the small images, half of the large ones', rounded up.
        width: channels of the largest maps.
    """

    def __init__(
        self, captions: CaptionConfig, spec: CaptionedSpec, low: tuple[int, int], width: int, blocks: int
    ) -> None:
        super().__init__()
        halvings = halvings_for(min(low))
        sizes = [(-(-low[0] // 2**k), -(-low[1] // 2**k)) for k in range(halvings + 1)]
        large = [*reversed(sizes[:-1]), (spec.height, spec.width)]
        widths = [width * 2**k for k in range(halvings + 2)]
        down = [nn.Conv2d(spec.channels, widths[1], 3, padding=1), nn.ReLU()]
        for inputs, outputs in pairwise(widths[1:]):
            down += [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.condition = Augmentation(captions, spec)
        self.down = nn.Sequential(*down)
        self.join = _Join(widths[-1], self.condition.size, blocks)
        steps = zip(pairwise(reversed(widths)), large, strict=True)
        self.up = nn.Sequential(*[_Doubled(a, b, size) for (a, b), size in steps])
        self.image = nn.Conv2d(width, spec.channels, 3, padding=1)
        draw_weights(nn.ModuleList([self.down, self.join, self.up, self.image]), 0.02)

    def forward(self, images: Float[Tensor, "n channels rows columns"], caption: Int[Tensor, "n length"]) -> Painted:
        condition = self.condition(caption)
        maps = self.join(self.down(images), condition.draw())
        return Painted(self.image(self.up(maps)).tanh(), condition)


class TreeGenerator(nn.Module):
    """Images of several sizes, all of the same maps (StackGAN++: Zhang et al. 2018, section 4)::

        h_0 = F_0(c, z)      h_i = F_i(h_{i-1}, c)      s_i = G_i(h_i)

    F_0 is a linear map, doubled up to the smallest size; F_i joins the condition c, has residual blocks, and doubles;
    G_i is a convolution.

    Args:
        levels: how many sizes there are images of.
        width: channels of the largest maps, twice as many of each smaller one, sixteen times at most.
    """

    def __init__(
        self, captions: CaptionConfig, spec: CaptionedSpec, latent: int, levels: int, width: int, blocks: int
    ) -> None:
        super().__init__()
        sizes = pyramid_sizes(spec.height, spec.width)
        widths = [width * 2 ** min(k, 4) for k in reversed(range(len(sizes)))]
        root = len(sizes) - levels
        start = (widths[0], *sizes[0])
        self.condition = Augmentation(captions, spec)
        first = nn.Linear(latent + self.condition.size, math.prod(start), bias=False)
        opened = nn.Sequential(first, nn.Unflatten(1, start), nn.BatchNorm2d(widths[0]), nn.ReLU())
        trunk = [_Doubled(a, b, size) for (a, b), size in zip(pairwise(widths[: root + 1]), sizes[1:], strict=False)]
        self.root = nn.Sequential(opened, *trunk)
        self.joins = nn.ModuleList([_Join(w, self.condition.size, blocks) for w in widths[root:-1]])
        steps = zip(pairwise(widths[root:]), sizes[root + 1 :], strict=True)
        self.grow = nn.ModuleList([_Doubled(a, b, size) for (a, b), size in steps])
        self.images = nn.ModuleList([nn.Conv2d(w, spec.channels, 3, padding=1) for w in widths[root:]])
        draw_weights(nn.ModuleList([self.root, self.joins, self.grow, self.images]), 0.02)

    def forward(
        self, latents: Float[Tensor, "n latent"], caption: Int[Tensor, "n length"]
    ) -> tuple[list[Tensor], Posterior]:
        """Images of every size, the smallest first, and what their condition was drawn from."""
        condition = self.condition(caption)
        drawn = condition.draw()
        maps = self.root(torch.cat([latents, drawn], 1))
        images = [self.images[0](maps).tanh()]
        for join, grow, image in zip(self.joins, self.grow, self.images[1:], strict=True):
            maps = grow(join(maps, drawn))
            images.append(image(maps).tanh())
        return images, condition


class _Join(nn.Module):
    """Maps and a condition, which is the same at every place, as maps: a convolution, then residual blocks."""

    def __init__(self, width: int, condition: int, blocks: int) -> None:
        super().__init__()
        self.open = _block(width + condition, width)
        self.blocks = nn.Sequential(*[_Residual(width) for _ in range(blocks)])

    def forward(self, maps: Tensor, condition: Tensor) -> Tensor:
        told = condition[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        return self.blocks(self.open(torch.cat([maps, told], 1)))


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        last = [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
        self.body = nn.Sequential(_block(width, width), *last)

    def forward(self, maps: Tensor) -> Tensor:
        return (maps + self.body(maps)).relu()


class _Doubled(nn.Module):
    """Every pixel four times, cut to a size, and a convolution."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size, self.block = size, _block(inputs, outputs)

    def forward(self, maps: Tensor) -> Tensor:
        return self.block(double(maps, self.size))


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), norm_of("batch", outputs), nn.ReLU())
