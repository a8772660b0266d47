"""The generator of StyleGAN2 and its discriminator (Karras et al. 2019, 2020)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec
from textgan.networks.image_blocks import MinibatchDeviation
from textgan.networks.image_growing import widths_of
from textgan.networks.image_pyramid import double, halve, pyramid_sizes
from textgan.networks.image_style import EqualisedConv, EqualisedLinear, ModulatedConv, PixelNorm, blur


class StyleGenerator(nn.Module):
    """A mapping of latents to styles, and a synthesis that begins with the same learned maps for every image.

    Each size has two modulated convolutions, the smallest one, and adds an image of its own, made of its maps, to the
    enlarged image of the size before. A style goes to each convolution and, last, to the last image; the images before
    have the style of the convolution that follows.
    """

    def __init__(
        self, spec: ImageSpec, latent: int, style: int, layers: int, rate: float, width: int, most: int
    ) -> None:
        """`layers` of the mapping, which learn at `rate` times the others' rate."""
        super().__init__()
        self.sizes = pyramid_sizes(spec.height, spec.width)
        widths = widths_of(len(self.sizes), width, most)
        mapped = [latent, *[style] * layers]
        hidden = [m for a, b in pairwise(mapped) for m in (EqualisedLinear(a, b, rate=rate), nn.LeakyReLU(0.2))]
        self.mapping = nn.Sequential(PixelNorm(), *hidden)
        self.start = nn.Parameter(torch.randn(widths[0], *self.sizes[0]))
        pairs = [(widths[0], widths[0])] + [p for a, b in pairwise(widths) for p in ((a, b), (b, b))]
        self.layers = nn.ModuleList([StyledLayer(a, b, style) for a, b in pairs])
        self.to_image = nn.ModuleList([_ToImage(w, spec.channels, style) for w in widths])
        self.styles = len(pairs) + 1
        """Of an image."""

    def map(self, latents: Float[Tensor, "n latent"]) -> Float[Tensor, "n styles style"]:
        """One style for all layers."""
        return self.mapping(latents)[:, None].expand(-1, self.styles, -1)

    def forward(self, styles: Float[Tensor, "n styles style"], noise: bool = True) -> Float[Tensor, "n c height width"]:
        """Images, not bounded; `noise`: with what no style decides."""
        style = styles.unbind(1)
        maps = self.layers[0](self.start.expand(len(styles), -1, -1, -1), style[0], noise)
        images = self.to_image[0](maps, style[1])
        for k, size in enumerate(self.sizes[1:], 1):
            maps = self.layers[2 * k - 1](maps, style[2 * k - 1], noise, size)
            maps = self.layers[2 * k](maps, style[2 * k], noise)
            images = blur(double(images, size)) + self.to_image[k](maps, style[2 * k + 1])
        return images


class StyledLayer(nn.Module):
    """A modulated convolution, after a doubling where a size is given; noise, one number a place; a leaky rectifier."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.convolution = ModulatedConv(inputs, outputs, style)
        self.noise = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, maps: Tensor, style: Tensor, noise: bool, size: tuple[int, int] | None = None) -> Tensor:
        if size is not None:
            maps = double(maps, size)
        maps = self.convolution(maps, style)
        if size is not None:
            maps = blur(maps)
        if noise:
            maps = maps + self.noise * torch.randn_like(maps[:, :1])
        return nn.functional.leaky_relu(maps + self.bias, 0.2) * 2**0.5


class _ToImage(nn.Module):
    """Maps to an image, modulated and not demodulated."""

    def __init__(self, inputs: int, channels: int, style: int) -> None:
        super().__init__()
        self.convolution = ModulatedConv(inputs, channels, style, kernel=1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        return self.convolution(maps, style) + self.bias


class StyleDiscriminator(nn.Module):
    """Residual blocks, each halving; then a convolution, the deviation of the batch and two linear maps."""

    def __init__(self, spec: ImageSpec, width: int, most: int, bias: bool = True) -> None:
        """bias: of the last layer."""
        super().__init__()
        sizes = pyramid_sizes(spec.height, spec.width)
        widths = widths_of(len(sizes), width, most)[::-1]
        compare = MinibatchDeviation()
        self.body = nn.Sequential(
            EqualisedConv(spec.channels, widths[0], 1),
            nn.LeakyReLU(0.2),
            *[_Halving(a, b) for a, b in pairwise(widths)],
        )
        self.last = nn.Sequential(
            EqualisedConv(widths[-1], widths[-1]),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            compare,
            EqualisedLinear(widths[-1] * math.prod(sizes[0]) + compare.extra, widths[-1]),
            nn.LeakyReLU(0.2),
            EqualisedLinear(widths[-1], 1, gain=1.0, bias=bias),
        )

    def forward(self, images: Float[Tensor, "n c height width"]) -> Float[Tensor, " n"]:
        """Scores."""
        return self.last(self.body(images)).squeeze(1)


class _Halving(nn.Module):
    """Two convolutions and a halving, added to a halving and a projection; the sum is divided by the root of 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            EqualisedConv(inputs, inputs), nn.LeakyReLU(0.2), EqualisedConv(inputs, outputs), nn.LeakyReLU(0.2)
        )
        self.shortcut = EqualisedConv(inputs, outputs, 1, gain=1.0, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        return (halve(blur(self.convolutions(maps))) + self.shortcut(halve(blur(maps)))) / 2**0.5
