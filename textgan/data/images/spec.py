"""What a game must know of its images, and what a batch of them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


@dataclass(frozen=True)
class ImageSpec:
    """An image is ``(channels, height, width)`` numbers in [-1, 1]."""

    channels: int
    """1, grey, or 3: red, green, blue."""
    height: int
    width: int
    train_size: int
    """Images in the training split."""
    categories: tuple[str, ...] = ()
    """The K names, sorted; a category is its place among them. None where images have no labels."""

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.channels, self.height, self.width)

    @property
    def numbers(self) -> int:
        """Of an image."""
        return self.channels * self.height * self.width


class LabelledImages(NamedTuple):
    """Images and their categories."""

    image: Tensor
    """(B, C, H, W)"""
    category: Tensor
    """(B,)"""
