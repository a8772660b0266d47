"""SRResNet: from small images to large ones (Ledig et al. 2017, figure 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.images.pairs import PairSpec
from textgan.errors import UserError, check_at_least


@dataclass(frozen=True)
class SRResNetConfig:
    """A generator of enlarged images."""

    width: int = 32
    """Channels of the maps."""
    blocks: int = 4
    """Residual blocks; the paper has 16."""

    def __post_init__(self) -> None:
        check_at_least(1, "generator", self, "width", "blocks")


class SRResNet(nn.Module):
    """Residual blocks at the small size; the size is doubled at the end, each number of four maps becoming a pixel.

    Raises:
        UserError: the targets are not 1, 2, 4, ... times as large as the sources, both ways.
    """

    def __init__(self, config: SRResNetConfig, spec: PairSpec) -> None:
        super().__init__()
        width, kernel = config.width, 9 if min(spec.source_height, spec.source_width) >= 16 else 5
        self.open = nn.Sequential(nn.Conv2d(spec.source_channels, width, kernel, padding=kernel // 2), nn.PReLU())
        self.blocks = nn.Sequential(*[_Residual(width) for _ in range(config.blocks)], *_normalised(width))
        doublings = [_doubling(width) for _ in range(doublings_of(spec))]
        self.close = nn.Sequential(*doublings, nn.Conv2d(width, spec.channels, kernel, padding=kernel // 2), nn.Tanh())

    def forward(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n channels2 height2 width2"]:
        maps = self.open(images)
        return self.close(maps + self.blocks(maps))


def doublings_of(spec: PairSpec) -> int:
    """How often a source is doubled to be as large as a target."""
    times = spec.height / spec.source_height
    doublings = math.log2(times)
    if times != spec.width / spec.source_width or doublings < 0 or not doublings.is_integer():
        raise UserError(
            f"sources have {spec.source_width} x {spec.source_height} pixels and targets {spec.width} x {spec.height}; "
            "targets that are 1, 2, 4, ... times as large are accepted: data.source half or quarter"
        )
    return int(doublings)


def _normalised(width: int) -> list[nn.Module]:
    return [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]


def _doubling(width: int) -> nn.Sequential:
    """Numbers of four maps beside each other become four pixels: c, 2 y + i, 2 x + j is 4 c + 2 i + j, y, x."""
    return nn.Sequential(nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_normalised(width), nn.PReLU(), *_normalised(width))

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.body(maps)
