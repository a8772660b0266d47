"""Pictures to rows of bytes: cropped, resampled, split by a hash of what is left. One picture is held at a time."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from textgan.data.images.settings import ImageSettings
from textgan.data.images.sources import ImageSource
from textgan.errors import UserError

FORMAT = 1
"""Raised whenever the same images may be prepared differently than before, so that no old cache is found."""
SPLITS = ("train", "valid", "test")


def prepare(source: ImageSource, held_out: ImageSource | None, settings: ImageSettings, folder: Path) -> None:
    """Fills `folder` with ``<split>.pixels`` (bytes), ``<split>.categories.npy`` and ``corpus.json``.

    Equal images share a split. A held-out image is there once, and not if it is a training image too.

    Raises:
        UserError: a split would be empty, images differ in size or have other channels than the first, or for what the
            source raises.
    """
    files = {split: (folder / f"{split}.pixels").open("wb") for split in SPLITS}
    labels: dict[str, list[str]] = {split: [] for split in SPLITS}
    seen: Counter[bytes] = Counter()
    trained: set[bytes] = set()
    read = held_out_duplicates = 0
    shape: tuple[int, ...] | None = None
    try:
        for part in filter(None, (source, held_out)):
            for picture in part.pictures():
                channels = settings.channels or (shape[0] if shape else picture.pixels.shape[2])
                pixels = fitted(picture.pixels, settings.size, channels)
                shape = shape or pixels.shape
                if pixels.shape != shape:
                    raise UserError(
                        f"corpus {part.name!r}: image {read + 1} has {_size(pixels.shape)} pixels, those before it "
                        f"{_size(shape)}; give data.size, to which all are cropped and resampled"
                    )
                read += 1
                key = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
                split = split_of(key, settings, part is source)
                if split == "train":
                    trained.add(key)
                elif seen[key] or key in trained:
                    held_out_duplicates += 1
                    continue
                seen[key] += 1
                files[split].write(pixels.tobytes())
                labels[split].append(picture.label)
    finally:
        for file in files.values():
            file.close()
    names = sorted({label for found in labels.values() for label in found} - {""}, key=_by_number)
    unlabelled = any(label == "" for found in labels.values() for label in found)
    order = [*names, ""] if names and unlabelled else names
    place = {name: i for i, name in enumerate(order)}
    for split, found in labels.items():
        np.save(folder / f"{split}.categories.npy", np.array([place.get(x, 0) for x in found], dtype=np.int64))
    counts = {split: len(found) for split, found in labels.items()}
    tallies = {split: Counter(found) for split, found in labels.items()}
    made = {
        "images": read,
        **counts,
        "train_duplicates": counts["train"] - len(trained),
        "held_out_duplicates": held_out_duplicates,
        "shape": shape,
        "categories": {name: [tallies[split][name] for split in SPLITS] for name in order},
    }
    _require_images(source.name, read, counts, settings)
    (folder / "corpus.json").write_text(json.dumps(made, ensure_ascii=False) + "\n", encoding="utf-8")


def fitted(
    pixels: UInt8[np.ndarray, "height width channels"], size: int | None, channels: int
) -> UInt8[np.ndarray, "channels2 height2 width2"]:
    """The largest square in the middle, resampled to `size`; None leaves the size as it is. Grey becomes colour by
    repetition, colour grey by its luminance."""
    if pixels.shape[2] != channels:
        if channels == 1:
            pixels = np.asarray(Image.fromarray(pixels).convert("L"))[:, :, None]
        else:
            pixels = pixels[:, :, :1].repeat(3, 2)
    height, width, _ = pixels.shape
    if size is not None and (height, width) != (size, size):
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = pixels[top : top + side, left : left + side]
        image = Image.fromarray(square[:, :, 0] if channels == 1 else square)
        resampled = np.asarray(image.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3))
        pixels = resampled.reshape(size, size, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def split_of(key: bytes, settings: ImageSettings, is_first: bool) -> str:
    """The split that an image belongs to, by a hash of it alone."""
    share = int.from_bytes(key[:8], "big") / 2**64
    if settings.held_out is not None:
        if is_first:
            return "train"
        share *= settings.valid + settings.test
    if share < settings.test:
        return "test"
    return "valid" if share < settings.test + settings.valid or not is_first else "train"


def _by_number(name: str) -> tuple[bool, int, str]:
    """Numbers in their order, before words."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[2]} x {shape[1]}"


def _require_images(name: str, read: int, counts: dict[str, int], settings: ImageSettings) -> None:
    for split, count in counts.items():
        if count == 0:
            raise UserError(
                f"corpus {name!r}: no image for split {split!r}: of {read:,} read there are {counts['train']:,} to "
                f"train, {counts['valid']:,} to validate, {counts['test']:,} to test (valid {settings.valid:g}, test "
                f"{settings.test:g}); more images or larger fractions are needed"
            )
