"""Images with a sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textgan.data.cards import file_identity
from textgan.data.images import readers
from textgan.data.images.corpus import ImageCorpus, ImageReport, ImageSplit, open_images, prepared_images
from textgan.data.images.preparation import SPLITS
from textgan.data.images.readers import Picture
from textgan.data.images.settings import ImageConfig, ImageSettings, resolve
from textgan.data.images.sources import ImageSource
from textgan.data.images.spec import ImageSpec
from textgan.data.readers import lines, require_file
from textgan.data.splits import with_end
from textgan.data.tokenizer import Tokenized, Tokenizer
from textgan.errors import UserError

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WORDS = (("thin", "bold"), ("narrow", "wide"), ("short", "tall"))
"""What a caption says of the ink: less or more of it than the median image has, in less or more columns, and rows."""


MOST_WORDS = 5000
"""Token ids of captions."""
LONGEST = 32
"""Tokens of a caption; longer ones are shortened."""


class CaptionedImages(NamedTuple):
    """Images and what is said of them."""

    image: Tensor
    """(B, C, H, W)"""
    caption: Tensor
    """(B, L): token ids, ended and padded."""


@dataclass(frozen=True)
class CaptionedSpec(ImageSpec):
    """Images, and the numbers of their captions."""

    vocab_size: int = 0
    """V: number of token ids, marks included."""
    length: int = 0
    """L: tokens of the longest caption, end mark included."""
    pad: int = 0


class CaptionedSplit:
    """Images, taken with their captions."""

    def __init__(self, images: ImageSplit, captions: Int[Tensor, "n length"]) -> None:
        self._images, self._captions = images, captions

    def __len__(self) -> int:
        return len(self._images)

    def take(self, indices: Int[Tensor, " n"]) -> CaptionedImages:
        return CaptionedImages(self._images.take(indices), self._captions[indices])

    def pairs(self, limit: int | None = None) -> CaptionedImages:
        """`limit` images, evenly spaced, with their captions."""
        return self.take(self._images.places(limit))


@dataclass(frozen=True)
class CaptionedCorpus(Tokenized):
    """Captioned images to train on, to validate with and to test with."""

    name: str
    spec: CaptionedSpec
    config: ImageSettings
    tokenizer: Tokenizer
    train: CaptionedSplit
    valid: CaptionedSplit
    test: CaptionedSplit
    report: ImageReport
    images: ImageCorpus
    """The same images by themselves."""

    @property
    def signature(self) -> str:
        """What the numbers of an example stand for."""
        return f"{self.images.signature}.{self.tokenizer.signature}"

    @cached_property
    def tells_apart(self) -> Describer:
        """What says of any image how bold, wide and tall it is."""
        return Describer(self.images.train)


class Describer:
    """Words for the ink of an image, against the median training image."""

    def __init__(self, train: ImageSplit) -> None:
        self._medians = ink(train.images(2000)).median(0).values

    def words(self, images: Float[Tensor, "n channels height width"]) -> Int[Tensor, "n 3"]:
        """0 or 1 for each pair of `WORDS`."""
        return (ink(images) > self._medians).long()

    def captions(self, images: Tensor, names: Sequence[str]) -> list[str]:
        """``"a bold narrow tall seven"``."""
        chosen = self.words(images).tolist()
        said = [" ".join(pair[k] for pair, k in zip(WORDS, row, strict=True)) for row in chosen]
        return [f"a {words} {_spoken(name)}".strip() for words, name in zip(said, names, strict=True)]


def ink(images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n 3"]:
    """How much light there is in an image, over how many columns it is spread, and over how many rows (standard
    deviations)."""
    light = (images.mean(1) + 1) / 2  # (n, H, W)
    total = light.sum((1, 2)).clamp(min=1e-6)
    spreads = []
    for along in (1, 2):
        marginal = light.sum(along) / total[:, None]
        place = torch.arange(marginal.shape[1], dtype=torch.float32)
        mean = (marginal * place).sum(1, keepdim=True)
        spreads.append((marginal * (place - mean).square()).sum(1).sqrt())
    return torch.stack([total, *spreads], 1)


def open_captioned(spec: str, config: ImageConfig) -> CaptionedCorpus:
    """Images with captions: a folder with a ``.txt`` of the same name beside each image; else a corpus with categories,
    of which each image is described by its ink and its category.

    Raises:
        UserError: for everything that the user can put right.
    """
    folder = Path(spec).expanduser()
    described = not (folder.is_dir() and any(folder.rglob("*.txt")))
    images = open_images(spec, config, labelled=True) if described else _captioned_folder(folder, config)
    describe = Describer(images.train)
    texts = {}
    for name in SPLITS:
        split = getattr(images, name)
        labels = [images.spec.categories[k] for k in split.categories().tolist()]
        texts[name] = describe.captions(split.images(), labels) if described else labels
    tokenizer = Tokenizer.train("word", texts["train"], MOST_WORDS, 1, lower=True)
    rows = {name: [row[:LONGEST] for row in tokenizer.encode_batch(found)] for name, found in texts.items()}
    length = max(len(row) for found in rows.values() for row in found) + 1
    plain = {name: getattr(images, name).unlabelled() for name in SPLITS}
    splits = {name: CaptionedSplit(plain[name], with_end(found, length)) for name, found in rows.items()}
    image_spec = images.spec if described else replace(images.spec, categories=())
    images = images if described else replace(images, spec=image_spec, **plain)
    report = images.report if described else replace(images.report, categories={})
    captioned = CaptionedSpec(**asdict(image_spec), vocab_size=tokenizer.size, length=length)
    return CaptionedCorpus(images.name, captioned, images.config, tokenizer, **splits, report=report, images=images)


def _captioned_folder(folder: Path, config: ImageConfig) -> ImageCorpus:
    """Images whose categories are their captions. A held-out caption need not be a training image's."""
    if config.held_out is not None:
        raise UserError(
            f"data.held_out is {config.held_out!r}; a folder with captions is split by itself: leave it out"
        )
    images = prepared_images(_with_captions(folder), None, resolve(config, {}), labelled=False)
    if not images.spec.categories:
        raise UserError(f"{folder} has captions that are all equal, or an empty one; two different ones are needed")
    return images


def _with_captions(folder: Path) -> ImageSource:
    """Images whose labels are their captions."""
    files = readers.image_files(folder)
    for file in files:
        require_file(file.with_suffix(".txt"))

    def pictures() -> Iterator[Picture]:
        for file in files:
            caption = " ".join(" ".join(lines(file.with_suffix(".txt"))).split())
            yield Picture(readers.open_image(file), caption)

    identity = ["captions", [file_identity(f) for file in files for f in (file, file.with_suffix(".txt"))]]
    return ImageSource(folder.resolve().name, folder.name, "", {}, identity, pictures)


def _spoken(name: str) -> str:
    """A category's name as a word."""
    return NUMBERS[int(name)] if name.isdecimal() and int(name) < len(NUMBERS) else name.replace("_", " ")
