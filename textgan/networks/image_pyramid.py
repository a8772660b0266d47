"""The same image at several sizes, each half of the next."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from textgan.networks.image_blocks import sides


def pyramid_sizes(height: int, width: int, levels: int | None = None) -> list[tuple[int, int]]:
    """Heights and widths from the smallest level to the image: halves, rounded up, down to 3 or 4 pixels a side.

    Args:
        levels: how many, the image among them. None: as many as there are.
    """
    count = len(sides(max(height, width))) if levels is None else levels
    return [(-(-height // 2**k), -(-width // 2**k)) for k in reversed(range(count))]


def halve(maps: Float[Tensor, "n c height width"], times: int = 1) -> Float[Tensor, "n c height2 width2"]:
    """Means of 2 x 2 pixels, so many times over; at the end of an odd side of those there are."""
    for _ in range(times):
        maps = F.avg_pool2d(maps, 2, ceil_mode=True)
    return maps


def double(maps: Float[Tensor, "n c height width"], size: tuple[int, int]) -> Float[Tensor, "n c height2 width2"]:
    """Every pixel four times, cut to `size`. `halve` takes it back."""
    return F.interpolate(maps, scale_factor=2, mode="nearest")[:, :, : size[0], : size[1]]


def enlarge(maps: Float[Tensor, "n c height width"], sizes: list[tuple[int, int]]) -> Float[Tensor, "n c h w"]:
    """Doubled to each of these sizes after the other."""
    for size in sizes:
        maps = double(maps, size)
    return maps
