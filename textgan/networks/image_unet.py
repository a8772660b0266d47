"""A U-Net: from an image to an image, through ever smaller maps and past them (Ronneberger et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec
from textgan.errors import check_above_zero, check_at_least, check_share
from textgan.networks.image_blocks import NormName, as_large_as, draw_weights, norm_of


@dataclass(frozen=True)
class UNetConfig:
    """A generator whose maps are halved until a side has one pixel, and doubled again."""

    width: int = 32
    """Channels of the largest maps, twice as many of each smaller one, eight times at most."""
    norm: NormName = "batch"
    """How maps are normalised; those of the first layer and the smallest are not."""
    dropout: float = 0.5
    """Share of the maps' numbers that are dropped on the way up, always: it is the only noise there is."""
    dropped: int = 3
    """Layers that drop some, of the first ones on the way up; never the last."""
    init_std: float = 0.02
    """Standard deviation of the initial weights."""

    def __post_init__(self) -> None:
        check_at_least(1, "generator", self, "width")
        check_at_least(0, "generator", self, "dropped")
        check_share("generator", self, "dropout")
        check_above_zero("generator", self, "init_std")


class Noise(nn.Dropout):
    """Dropout that is never off."""

    def forward(self, maps: Tensor) -> Tensor:
        return F.dropout(maps, self.p)


class UNet(nn.Module):
    """Every map on the way down is handed to the layer of its size on the way up (Isola et al. 2017, section 6.1.1).

    Sources are enlarged to the size of what is made, and every image is filled up with zeros until it can be halved.

    Args:
        extra: maps that are handed in beside the smallest ones.
    """

    def __init__(self, config: UNetConfig, source: ImageSpec, target: ImageSpec, extra: int = 0) -> None:
        super().__init__()
        self.target = target
        depth = min(target.height, target.width).bit_length() - 1
        widths = [config.width * 2 ** min(place, 3) for place in range(depth)]
        down, up = [], []
        for place, width in enumerate(widths):
            norm = config.norm if 0 < place < depth - 1 else "none"
            first = [] if place == 0 else [nn.LeakyReLU(0.2)]
            inputs = widths[place - 1] if place else source.channels
            convolution = nn.Conv2d(inputs, width, 4, stride=2, padding=1, bias=norm == "none")
            down.append(nn.Sequential(*first, convolution, norm_of(norm, width)))
        for place in reversed(range(depth)):
            inputs = widths[place] + extra if place == depth - 1 else 2 * widths[place]
            outputs, norm = (widths[place - 1], config.norm) if place else (target.channels, "none")
            convolution_up = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=norm == "none")
            noisy = place > 0 and depth - place <= config.dropped
            noise = [Noise(config.dropout)] if noisy and config.dropout else []
            up.append(nn.Sequential(nn.ReLU(), convolution_up, norm_of(norm, outputs), *noise))
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)
        draw_weights(self, config.init_std)

    def forward(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n channels2 height2 width2"]:
        return self.decode(self.encode(images))

    def encode(self, images: Float[Tensor, "n channels height width"]) -> list[Tensor]:
        """The maps of every layer on the way down, the largest first."""
        height, width = self.target.height, self.target.width
        multiple = 2 ** len(self.down)
        maps = F.pad(as_large_as(images, height, width), (0, -width % multiple, 0, -height % multiple))
        passed: list[Tensor] = []
        for layer in self.down:
            maps = layer(maps)
            passed.append(maps)
        return passed

    def decode(
        self, passed: list[Tensor], extra: Float[Tensor, "n extra rows columns"] | None = None
    ) -> Float[Tensor, "n channels height width"]:
        """The image of such maps, and of those that are handed in beside the smallest."""
        *larger, smallest = passed
        maps = self.up[0](smallest if extra is None else torch.cat([smallest, extra], 1))
        for layer, beside in zip(self.up[1:], reversed(larger), strict=True):
            maps = layer(torch.cat([maps, beside], 1))
        return maps[:, :, : self.target.height, : self.target.width].tanh()
