"""What a user may decide about a corpus of images, and the values that hold where nothing was said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from textgan.errors import UserError, check_at_least, check_fields


@dataclass(frozen=True)
class ImageConfig:
    """How images become rows of numbers. None: what the corpus's card says, else the default named."""

    size: int | None = None
    """Height and width in pixels: the largest square in the middle is taken and resampled. Default: images stay as they
    are, and must have one size."""
    channels: int | None = None
    """1: grey. 3: colour. Default: colour if the first image has any."""
    limit: int | None = None
    """Read only so many images, of each category in turn. Default: all."""
    valid: float | None = None
    """Fraction of the images in the validation split. Default: 0.1."""
    test: float | None = None
    """Fraction of the images in the test split. Default: 0.1."""
    held_out: str | None = None
    """Another corpus, split in this proportion into validation and test; the first is all training. Default: none."""

    def __post_init__(self) -> None:
        check_at_least(2, "data", self, "size")
        check_at_least(1, "data", self, "limit")
        check_fields("data", self, "1 or 3", lambda n: n in (1, 3), "channels")
        check_fields("data", self, "a fraction between 0 and 1", lambda share: 0 < share < 1, "valid", "test")


@dataclass(frozen=True)
class ImageSettings(ImageConfig):
    """An `ImageConfig` in which everything is decided. None of `size`, `channels`: as the images are."""

    valid: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.held_out is None and self.valid + self.test >= 1:
            raise UserError(f"valid {self.valid} and test {self.test} leave nothing to train on: less than 1 together")


def resolve(config: ImageConfig, card_defaults: Mapping[str, Any]) -> ImageSettings:
    """The user's word, else the card's, else the default. Raises UserError for a value that is out of range."""
    said = {f.name: getattr(config, f.name) for f in fields(config) if getattr(config, f.name) is not None}
    return ImageSettings(**{**card_defaults, **said})
