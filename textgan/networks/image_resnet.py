"""From an image to an image by residual blocks: as it is, or coarse first and fine later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError, check_above_zero, check_at_least
from textgan.networks.image_blocks import NormName, as_large_as, cropped, draw_weights, halved, norm_of
from textgan.networks.image_pyramid import halve


@dataclass(frozen=True)
class ResnetConfig:
    """Convolutions that halve, residual blocks, transposed convolutions that double (Johnson et al. 2016)."""

    width: int = 32
    """Channels of the largest maps, twice as many of each smaller one."""
    halvings: int | None = None
    """How often height and width are halved. None: twice, less often where fewer than 8 pixels would be left."""
    blocks: int = 4
    """Residual blocks, two convolutions each."""
    norm: NormName = "instance"
    """How maps are normalised."""
    init_std: float = 0.02
    """Standard deviation of the initial weights."""

    def __post_init__(self) -> None:
        check_at_least(1, "generator", self, "width", "blocks")
        check_at_least(0, "generator", self, "halvings")
        check_above_zero("generator", self, "init_std")


def halvings_for(side: int) -> int:
    """Twice, less often where fewer than 8 pixels would be left."""
    return min(2, max(side // 8, 1).bit_length() - 1)


class Mirror(nn.Module):
    """Mirrors what is within so many pixels of an edge beyond it."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.pixels = pixels

    def forward(self, maps: Float[Tensor, "n c height width"]) -> Float[Tensor, "n c height2 width2"]:
        n = self.pixels
        for side in (2, 3):
            before, after = maps.narrow(side, 1, n), maps.narrow(side, maps.shape[side] - 1 - n, n)
            maps = torch.cat([before.flip(side), maps, after.flip(side)], side)
        return maps


def convolution(inputs: int, outputs: int, kernel: int, norm: NormName) -> list[nn.Module]:
    """A convolution of mirrored maps that keeps their size, normalised."""
    same = nn.Conv2d(inputs, outputs, kernel, bias=norm == "none")
    return [Mirror(kernel // 2), same, norm_of(norm, outputs)]


class ResidualBlock(nn.Module):
    """Two convolutions whose outcome is added to what they are given."""

    def __init__(self, width: int, norm: NormName) -> None:
        super().__init__()
        self.body = nn.Sequential(*convolution(width, width, 3, norm), nn.ReLU(), *convolution(width, width, 3, norm))

    def forward(self, maps: Float[Tensor, "n width rows columns"]) -> Float[Tensor, "n width rows columns"]:
        return maps + self.body(maps)


class ResnetMaps(nn.Module):
    """`config.width` maps of an image, as large as the image."""

    def __init__(self, config: ResnetConfig, spec: ImageSpec) -> None:
        super().__init__()
        smallest = min(spec.height, spec.width)
        halvings = halvings_for(smallest) if config.halvings is None else config.halvings
        if halved(smallest, halvings) < 2:
            raise UserError(
                f"generator.halvings is {halvings}, which leaves 1 pixel a side of {spec.width} x {spec.height}; at "
                "least 2 must be left"
            )
        widths = [config.width * 2**place for place in range(halvings + 1)]
        self.front = front(config, spec, widths)
        self.blocks = nn.Sequential(*[ResidualBlock(widths[-1], config.norm) for _ in range(config.blocks)])
        self.back = back(config, widths)

    def forward(self, images: Float[Tensor, "n channels rows columns"]) -> Float[Tensor, "n maps rows columns"]:
        return cropped(self.back(self.blocks(self.front(images))), *images.shape[2:])


def outer_kernel(spec: ImageSpec) -> int:
    """Pixels a side that the first and the last convolution see: the papers' 7, or 3 of images too small for them."""
    return 7 if min(spec.height, spec.width) >= 16 else 3


def front(config: ResnetConfig, spec: ImageSpec, widths: list[int]) -> nn.Sequential:
    """A convolution, and one that halves for each further width."""
    layers = [*convolution(spec.channels, widths[0], outer_kernel(spec), config.norm), nn.ReLU()]
    for inputs, outputs in pairwise(widths):
        halving = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=config.norm == "none")
        layers += [halving, norm_of(config.norm, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def back(config: ResnetConfig, widths: list[int]) -> nn.Sequential:
    """A transposed convolution that doubles for each width but the first, from the last one on."""
    layers: list[nn.Module] = []
    for outputs, inputs in reversed(list(pairwise(widths))):
        bias = config.norm == "none"
        doubling = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1, bias=bias)
        layers += [doubling, norm_of(config.norm, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def to_image(width: int, spec: ImageSpec) -> nn.Sequential:
    """An image in [-1, 1] of maps."""
    return nn.Sequential(*convolution(width, spec.channels, outer_kernel(spec), "none"), nn.Tanh())


class ResnetGenerator(nn.Module):
    """An image of an image that is as large or, enlarged, as large as what is made."""

    def __init__(self, config: ResnetConfig, source: ImageSpec, target: ImageSpec) -> None:
        super().__init__()
        self.size = (target.height, target.width)
        self.maps = ResnetMaps(config, replace(source, height=target.height, width=target.width))
        self.image = to_image(config.width, target)
        draw_weights(self, config.init_std)

    def forward(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n channels2 height2 width2"]:
        return self.image(self.maps(as_large_as(images, *self.size)))


class CoarseToFine(nn.Module):
    """A generator of images of half the size, and one around it (pix2pixHD: Wang et al. 2018, section 3.2).

    The outer one halves the source, adds the last maps of the inner one, and goes on with blocks of its own.
    """

    def __init__(self, config: ResnetConfig, local_blocks: int, source: ImageSpec, target: ImageSpec) -> None:
        super().__init__()
        self.size = (target.height, target.width)
        whole = replace(source, height=target.height, width=target.width)
        half = replace(source, height=halved(target.height, 1), width=halved(target.width, 1))
        widths = [max(config.width // 2, 1), config.width]
        self.coarse = ResnetMaps(config, half)
        self.coarse_image = to_image(config.width, replace(half, channels=target.channels))
        self.front = front(config, whole, widths)
        self.blocks = nn.Sequential(*[ResidualBlock(config.width, config.norm) for _ in range(local_blocks)])
        self.back = back(config, widths)
        self.image = to_image(widths[0], target)
        draw_weights(self, config.init_std)

    def inner(self) -> nn.ModuleList:
        """What makes the maps of half the size."""
        return nn.ModuleList([self.coarse])

    def outer(self) -> nn.ModuleList:
        """What makes an image of the source and of those."""
        return nn.ModuleList([self.front, self.blocks, self.back, self.image])

    def small(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n channels2 rows columns"]:
        """The image of half the size, of a source of the whole size."""
        return self.coarse_image(self.coarse(self._halved(images)))

    def forward(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n channels2 height2 width2"]:
        maps = self.front(as_large_as(images, *self.size)) + self.coarse(self._halved(images))
        return self.image(cropped(self.back(self.blocks(maps)), *self.size))

    def _halved(self, images: Tensor) -> Tensor:
        return halve(as_large_as(images, *self.size))
