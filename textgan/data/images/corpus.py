"""`open_images`: from what the user calls a corpus to splits of images, prepared once and kept in a cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from textgan.data.cache import cached
from textgan.data.images.preparation import FORMAT, SPLITS, prepare
from textgan.data.images.settings import ImageConfig, ImageSettings, resolve
from textgan.data.images.sources import ImageSource, open_image_source
from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.errors import UserError


@dataclass(frozen=True)
class ImageReport:
    """What became of a corpus's images on their way into its splits."""

    corpus: str
    title: str
    licence: str
    images: int
    """Read."""
    train: int
    valid: int
    test: int
    train_duplicates: int
    """Training images that are there before. They stay: they are part of the distribution."""
    held_out_duplicates: int
    """Held-out images that are there before, or in the training split, and were left out."""
    shape: tuple[int, int, int]
    """Channels, height and width."""
    categories: Mapping[str, list[int]] = field(default_factory=dict)
    """Of each category, the images to train, to validate and to test."""

    def lines(self) -> list[str]:
        """The report for people."""
        channels, height, width = self.shape
        counts = "; ".join(f"{name} {' / '.join(f'{n:,}' for n in ns)}" for name, ns in self.categories.items())
        return [
            f"{self.corpus}: {self.title}" + (f" ({self.licence})" if self.licence else ""),
            f"{self.images:,} images read, now {width} x {height}, {'grey' if channels == 1 else 'in colour'}",
            f"{self.train:,} to train, {self.valid:,} to validate, {self.test:,} to test",
            f"training: {self.train_duplicates:,} duplicates kept; held out: {self.held_out_duplicates:,} left out",
            *([f"{len(self.categories)} categories (to train / validate / test): {counts}"] if counts else []),
        ]

    def as_dict(self) -> dict[str, Any]:
        """The report for machines: plain values."""
        return asdict(self)


class ImageSplit:
    """Images in a file, mapped into memory: only those that are taken are read."""

    def __init__(self, file: Path, categories: Path, shape: tuple[int, int, int]) -> None:
        self._made_of = file, categories, shape
        self._pixels = np.memmap(file, np.uint8, "r").reshape(-1, *shape)
        self._category = torch.from_numpy(np.load(categories))

    def __len__(self) -> int:
        return len(self._pixels)

    def take(self, indices: Int[Tensor, " n"]) -> Float[Tensor, "n channels height width"]:
        """Images of these places, in [-1, 1]."""
        return as_numbers(self._pixels[indices.numpy()])

    def images(self, limit: int | None = None) -> Float[Tensor, "n channels height width"]:
        """`limit` images, evenly spaced; all where there are no more."""
        return self.take(self.places(limit))

    def categories(self, limit: int | None = None) -> Int64[Tensor, " n"]:
        """Their categories."""
        return self._category[self.places(limit)]

    def labelled(self) -> LabelledImageSplit:
        """The same images, taken with their categories."""
        return LabelledImageSplit(*self._made_of)

    def unlabelled(self) -> ImageSplit:
        """The same images by themselves."""
        return ImageSplit(*self._made_of)

    def places(self, limit: int | None = None) -> Int64[Tensor, " n"]:
        n = len(self) if limit is None else min(limit, len(self))
        return torch.arange(n) * len(self) // n


class LabelledImageSplit(ImageSplit):
    """The same, taken with their categories."""

    def take(self, indices: Int[Tensor, " n"]) -> LabelledImages:  # type: ignore[override]
        return LabelledImages(super().take(indices), self._category[indices])

    def images(self, limit: int | None = None) -> Float[Tensor, "n channels height width"]:
        return self.take(self.places(limit)).image


@dataclass(frozen=True)
class ImageCorpus:
    """Images to train on, to validate with and to test with."""

    name: str
    spec: ImageSpec
    config: ImageSettings
    """Every decision that was made, by the user, the corpus's card or default."""
    train: ImageSplit
    valid: ImageSplit
    test: ImageSplit
    report: ImageReport
    identity: str
    """Of what was prepared: the name of its folder in the cache."""

    @property
    def signature(self) -> str:
        """What the numbers of an example stand for: ``"images.1x8x8"``."""
        return f"images.{'x'.join(map(str, self.spec.shape))}"

    def save(self, folder: Path) -> None:
        """A model needs nothing beside its weights."""


def open_images(spec: str, config: ImageConfig, labelled: bool) -> ImageCorpus:
    """The images that `spec` names: a card's name, a folder of images (folders in it are categories), or ``hf:NAME``.

    Raises:
        UserError: for everything that the user can put right.
    """
    source = open_image_source(spec)
    settings = resolve(config, source.defaults)
    held_out = None if settings.held_out is None else open_image_source(settings.held_out)
    return prepared_images(source, held_out, settings, labelled)


def prepared_images(
    source: ImageSource, held_out: ImageSource | None, settings: ImageSettings, labelled: bool
) -> ImageCorpus:
    """The corpus that is made of these sources, or was at an earlier call."""
    identity = [FORMAT, source.identity, held_out.identity if held_out else None, asdict(settings)]
    limited = source.limited(settings.limit), held_out and held_out.limited(settings.limit)
    folder = cached(identity, partial(prepare, *limited, settings))
    made = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
    names = tuple(made["categories"]) if len(made["categories"]) > 1 and "" not in made["categories"] else ()
    if labelled:
        _require_categories(source.name, made["categories"])
    made["shape"] = tuple(made["shape"])
    report = ImageReport(source.name, source.title, source.licence, **made)
    kind = LabelledImageSplit if labelled else ImageSplit
    splits = {s: kind(folder / f"{s}.pixels", folder / f"{s}.categories.npy", report.shape) for s in SPLITS}
    image_spec = ImageSpec(*report.shape, train_size=report.train, categories=names)
    return ImageCorpus(source.name, image_spec, settings, **splits, report=report, identity=folder.name)


def as_spec(shape: tuple[int, ...], train_size: int) -> ImageSpec:
    """Of images without categories."""
    channels, height, width = shape
    return ImageSpec(channels, height, width, train_size)


def as_numbers(pixels: np.ndarray) -> Float[Tensor, "..."]:
    """Bytes as numbers in [-1, 1]."""
    return torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1)


def _require_categories(name: str, counts: Mapping[str, list[int]]) -> None:
    """Raises UserError unless there are two categories, each in the training split."""
    if len(counts) < 2 or "" in counts:
        what = "images without a label" if counts else "no labels"
        raise UserError(
            f"corpus {name!r} has {what}; a folder with a folder of images for each category, or a corpus whose card "
            "has categories, is accepted"
        )
    missing = [label for label, (train, *_) in counts.items() if train == 0]
    if missing:
        raise UserError(f"corpus {name!r}: no image of category {missing[0]!r} to train on; more images are needed")
