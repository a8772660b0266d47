"""Pairs of images: what is given, and what should be made of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from textgan.data.cache import cached
from textgan.data.cards import file_identity
from textgan.data.images import readers
from textgan.data.images.corpus import ImageReport, ImageSplit, as_spec, open_images
from textgan.data.images.preparation import FORMAT, SPLITS, fitted, prepare
from textgan.data.images.readers import Picture
from textgan.data.images.settings import ImageConfig, ImageSettings, resolve
from textgan.data.images.sources import ImageSource
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError

SourceName = Literal["outline", "half", "quarter", "hole"]
"""How what is given is made of an image. outline: its edges, white on black. half, quarter: so many pixels a side.
hole: without the square in its middle."""


SIDES = ("source", "target")
"""Folders of a folder of pairs."""


class ImagePairs(NamedTuple):
    """What is given, and the truth."""

    source: Tensor
    """(B, C2, H2, W2)"""
    target: Tensor
    """(B, C, H, W)"""


@dataclass(frozen=True)
class PairSpec(ImageSpec):
    """The numbers of a target, and those of a source."""

    source_channels: int = 1
    source_height: int = 8
    source_width: int = 8

    @property
    def source(self) -> ImageSpec:
        """What is given, by itself."""
        return ImageSpec(self.source_channels, self.source_height, self.source_width, self.train_size)


@dataclass(frozen=True)
class PairConfig(ImageConfig):
    """How images become pairs."""

    source: SourceName | None = None
    """How what is given is made of each image. Default: outline. A folder with folders called source and target, in
    which what belongs together has the same name, has its pairs as they are."""


@dataclass(frozen=True)
class PairSettings(ImageSettings):
    """A `PairConfig` in which everything is decided."""

    source: SourceName | None = None
    """None: as they are."""


class PairSplit:
    """Pairs, of which the sources are made when they are taken or lie beside the targets."""

    def __init__(self, images: ImageSplit, split: Callable[[Tensor], ImagePairs]) -> None:
        self._images, self._split = images, split

    def __len__(self) -> int:
        return len(self._images)

    def take(self, indices: Int[Tensor, " n"]) -> ImagePairs:
        return self._split(self._images.take(indices))

    def pairs(self, limit: int | None = None) -> ImagePairs:
        """`limit` pairs, evenly spaced; all where there are no more."""
        return self.take(self._images.places(limit))


@dataclass(frozen=True)
class PairCorpus:
    """Pairs to train on, to validate with and to test with."""

    name: str
    spec: PairSpec
    config: PairSettings
    train: PairSplit
    valid: PairSplit
    test: PairSplit
    report: ImageReport

    @property
    def signature(self) -> str:
        """What the numbers of an example stand for."""
        return f"pairs.{'x'.join(map(str, self.spec.source.shape))}.{'x'.join(map(str, self.spec.shape))}"

    def save(self, folder: Path) -> None:
        """A model needs nothing beside its weights."""


def open_pairs(spec: str, config: PairConfig) -> PairCorpus:
    """The pairs that `spec` names.

    Raises:
        UserError: for everything that the user can put right.
    """
    said = {key: value for key, value in asdict(config).items() if key != "source"}
    folder = Path(spec).expanduser()
    if all((folder / side).is_dir() for side in SIDES):
        return _pairs_of_folder(folder, ImageConfig(**said))
    images = open_images(spec, ImageConfig(**said), labelled=False)
    source = config.source or "outline"
    make = SOURCES[source]

    def split(target: Tensor) -> ImagePairs:
        return ImagePairs(make(target), target)

    splits = {name: PairSplit(getattr(images, name), split) for name in SPLITS}
    shape = splits["train"].pairs(1).source.shape[1:]
    pair_spec = _spec(images.spec, shape)
    settings = PairSettings(**asdict(images.config), source=source)
    return PairCorpus(images.name, pair_spec, settings, **splits, report=images.report)


def outline(images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n 1 height width"]:
    """The length of the gradient of the luminance (Sobel's), halved, as an image in [-1, 1]."""
    grey = images.mean(1, keepdim=True)
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
    kernels = torch.stack([across, across.T])[:, None].to(images)
    slopes = F.conv2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), kernels)
    return (slopes.square().sum(1, keepdim=True) + 1e-12).sqrt().clamp(max=2) - 1


def shrunk(images: Tensor, factor: int) -> Tensor:
    """Means of squares of `factor` pixels a side."""
    if images.shape[2] % factor or images.shape[3] % factor:
        raise UserError(
            f"data.source shrinks by {factor}, and images have {images.shape[3]} x {images.shape[2]} pixels; sides "
            f"that are multiples of {factor} are accepted: give data.size"
        )
    return F.avg_pool2d(images, factor)


def hole_of(height: int, width: int) -> tuple[slice, slice]:
    """The square in the middle of an image, half as large."""
    return (
        slice(height // 4, height // 4 + height // 2),
        slice(width // 4, width // 4 + width // 2),
    )


def with_hole(images: Tensor) -> Tensor:
    """Images that are grey in the middle."""
    rows, columns = hole_of(*images.shape[2:])
    holed = images.clone()
    holed[:, :, rows, columns] = 0
    return holed


SOURCES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "outline": outline,
    "half": partial(shrunk, factor=2),
    "quarter": partial(shrunk, factor=4),
    "hole": with_hole,
}


def _spec(spec: ImageSpec, source: tuple[int, ...]) -> PairSpec:
    return PairSpec(*spec.shape, spec.train_size, (), *source)


def _pairs_of_folder(folder: Path, config: ImageConfig) -> PairCorpus:
    """Two images of one size, stored as one of twice the channels, so that a pair never leaves its split."""
    if config.held_out is not None:
        raise UserError(
            f"data.held_out is {config.held_out!r}; pairs of a folder are split by themselves: leave it out"
        )
    settings = resolve(config, {})
    files = {side: readers.image_files(folder / side) for side in SIDES}
    names = {side: {file.stem: file for file in found} for side, found in files.items()}
    if lonely := sorted(names["source"].keys() ^ names["target"].keys()):
        raise UserError(f"{folder}: {lonely[0]} is in one of the folders source and target only; it must be in both")

    def pictures() -> Iterator[Picture]:
        channels = settings.channels
        for name in sorted(names["source"]):
            pair = [readers.open_image(names[side][name]) for side in SIDES]
            channels = channels or max(image.shape[2] for image in pair)
            source, target = (fitted(image, settings.size, channels) for image in pair)
            if source.shape != target.shape:
                raise UserError(f"{folder}: the two images {name} differ in size; give data.size")
            yield Picture(np.concatenate([source, target]).transpose(1, 2, 0))

    identity = ["pairs", [file_identity(file) for found in files.values() for file in found]]
    source = ImageSource(folder.resolve().name, folder.name, "", {}, identity, pictures).limited(settings.limit)
    as_they_are = replace(settings, size=None, channels=None)
    place = cached([FORMAT, identity, asdict(settings)], partial(prepare, source, None, as_they_are))
    made = json.loads((place / "corpus.json").read_text(encoding="utf-8"))
    both = tuple(made["shape"])
    stored = {s: ImageSplit(place / f"{s}.pixels", place / f"{s}.categories.npy", both) for s in SPLITS}
    made["shape"] = shape = (both[0] // 2, *both[1:])

    def split(images: Tensor) -> ImagePairs:
        return ImagePairs(*images.chunk(2, dim=1))

    report = ImageReport(source.name, source.title, "", **made)
    splits: dict[str, Any] = {s: PairSplit(images, split) for s, images in stored.items()}
    pair_settings = PairSettings(**asdict(settings))
    return PairCorpus(source.name, _spec(as_spec(shape, report.train), shape), pair_settings, **splits, report=report)
