"""Pictures out of files, folders and packages, one at a time, with every fault of the input said in one line."""

from __future__ import annotations

import gzip
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from textgan.data.readers import hub_split, require_file
from textgan.errors import UserError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".tif", ".tiff")
"""Of image files."""
MOST_PIXELS = 50_000_000
"""Of an image that is read."""


class Picture(NamedTuple):
    """An image and, where the corpus has them, its label."""

    pixels: UInt8[np.ndarray, "height width channels"]
    label: str = ""


def digits() -> Iterator[Picture]:
    """The 1,797 handwritten digits of scikit-learn: 8 x 8, 17 levels of grey."""
    from sklearn.datasets import load_digits  # takes a second

    found = load_digits()
    levels = np.rint(found.images * (255 / 16)).astype(np.uint8)
    return (Picture(image[:, :, None], str(label)) for image, label in zip(levels, found.target, strict=True))


def table(path: Path, height: int, width: int) -> Iterator[Picture]:
    """A ``.csv`` or ``.csv.gz`` without a header: a row of grey levels from 0 to 255 and, last, the label."""
    require_file(path)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            values = np.array(line.split(","), dtype=float)
            if len(values) != height * width + 1:
                raise UserError(f"{path}, line {number}: {len(values)} numbers; {height * width + 1} are accepted")
            yield Picture(values[:-1].reshape(height, width, 1).astype(np.uint8), str(int(values[-1])))


def array(path: Path, first: int | None = None, labels: Path | None = None) -> Iterator[Picture]:
    """A ``.npy`` file ``(n, height, width[, channels])`` of bytes, or of numbers in [0, 1]; the `first` ones of it."""
    require_file(path)
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise UserError(f"{path} is not a .npy file of numbers: {error}") from error
    if images.ndim not in (3, 4):
        raise UserError(f"{path} has the shape {images.shape}; (n, height, width) or one more, channels, is accepted")
    names = np.load(labels, allow_pickle=False) if labels else [""] * len(images)
    for image, name in islice(zip(images, names, strict=True), first):
        levels = image if image.dtype == np.uint8 else np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
        yield Picture(levels if levels.ndim == 3 else levels[:, :, None], str(name))


def idx(folder: Path, images: Sequence[str], labels: Sequence[str]) -> Iterator[Picture]:
    """Pairs of idx files, those of MNIST: the n-th file of images with the n-th of labels, plain or ``.gz``."""
    for image_name, label_name in zip(images, labels, strict=True):
        pixels, names = _idx(_find(folder, image_name)), _idx(_find(folder, label_name))
        yield from (Picture(image[:, :, None], str(name)) for image, name in zip(pixels, names, strict=True))


def _find(folder: Path, name: str) -> Path:
    """A file of that name, or that name and ``.gz``, anywhere in the folder."""
    found = sorted([*folder.rglob(name), *folder.rglob(f"{name}.gz")])
    if not found:
        raise UserError(f"{folder} has no file {name} or {name}.gz")
    return found[0]


def _idx(path: Path) -> np.ndarray:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise UserError(f"{path} is not an idx file of bytes")
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, 4)
    if len(content) != 4 + 4 * dimensions + shape.prod():
        raise UserError(f"{path} is cut off: {len(content):,} bytes where its head says {tuple(map(int, shape))}")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def rows_of_sheets(
    folder: Path, sheets: Sequence[str], labels: Sequence[str], names: Sequence[str], size: int
) -> Iterator[Picture]:
    """Large images of which each row of pixels is one of ``size x size``. `labels`: files with a JSON list each, which
    together have, in the order of the images, the places of their names in `names`."""
    numbers = [n for file in labels for n in json.loads(_find(folder, file).read_text(encoding="utf-8"))]
    rows = iter(numbers)
    for sheet in sheets:
        pixels = open_image(_find(folder, sheet))
        if pixels.shape[1] != size * size:
            raise UserError(f"{folder / sheet} is {pixels.shape[1]} pixels wide; {size * size} are accepted")
        for row in pixels:
            number = next(rows, None)
            if number is None:
                raise UserError(
                    f"{folder}: there are more images than labels ({len(numbers):,} in {', '.join(labels)})"
                )
            yield Picture(row.reshape(size, size, -1), names[number])


def json_rows(folder: Path, files: str, key: str, height: int, width: int, names: Sequence[str]) -> Iterator[Picture]:
    """JSON files with a list of images under `key`, each a list of levels of grey; the k-th file has those of the k-th
    name. Lists that are empty are passed over."""
    found = sorted(folder.rglob(files), key=lambda file: (len(file.stem), file.stem))
    if len(found) != len(names):
        raise UserError(f"{folder} has {len(found)} files {files}; {len(names)} are accepted")
    for file, name in zip(found, names, strict=True):
        for levels in json.loads(file.read_text(encoding="utf-8"))[key]:
            if len(levels) == height * width:
                yield Picture(np.array(levels, dtype=np.uint8).reshape(height, width, 1), name)
            elif levels:
                raise UserError(f"{file} has an image of {len(levels)} numbers; {height * width} are accepted")


def folder_of_images(folder: Path, glob: str = "*") -> Iterator[Picture]:
    """The images in a folder: those in a folder of it have its name as their label."""
    files = image_files(folder, glob)
    return (Picture(open_image(file), "" if file.parent == folder else file.parent.name) for file in files)


def image_files(folder: Path, glob: str = "*") -> list[Path]:
    """The image files in a folder and in its folders, by name. Raises UserError if there are none."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder")
    found = [p for p in sorted(folder.rglob(glob)) if p.suffix.lower() in ENDINGS and not p.name.startswith(".")]
    if not found:
        raise UserError(f"{folder} has no images: files ending in {', '.join(ENDINGS)} are accepted")
    return found


def open_image(path: Path) -> UInt8[np.ndarray, "height width channels"]:
    """The pixels of an image file: grey, or colour; what is transparent is white.

    Raises:
        UserError: it is no image, is cut off, or is too large.
    """
    require_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > MOST_PIXELS:
                    size = f"{image.width} x {image.height}"
                    raise UserError(f"{path} has {size} pixels; at most {MOST_PIXELS:,} are accepted")
                return as_array(image)
    except UserError:
        raise
    except Exception as error:  # a broken image raises whatever its decoder does
        raise UserError(f"{path} cannot be read as an image: {' '.join(str(error).split())}") from error


def as_array(image: Image.Image) -> UInt8[np.ndarray, "height width channels"]:
    """An image of any mode as bytes."""
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    if image.mode.startswith("I") or image.mode == "F":
        levels = np.asarray(image, dtype=float)
        image = Image.fromarray(np.rint(levels * (255 / max(levels.max(), 1))).astype(np.uint8))
    pixels = np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def hub(name: str) -> tuple[str, Callable[[], Iterator[Picture]]]:
    """The training split of a hub dataset: its fingerprint and its images, with the labels of a column that has names.

    Raises:
        UserError: it has no column of images.
    """
    import datasets  # takes a second

    data = hub_split(name)
    image = next((k for k, v in data.features.items() if isinstance(v, datasets.Image)), None)
    label = next((k for k, v in data.features.items() if isinstance(v, datasets.ClassLabel)), None)
    if image is None:
        raise UserError(f"hf:{name} has no column of images; it has: {', '.join(data.features)}")

    def pictures() -> Iterator[Picture]:
        for record in data:
            yield Picture(as_array(record[image]), data.features[label].names[record[label]] if label else "")

    return data._fingerprint, pictures


READERS: Mapping[str, Callable[..., Iterator[Any]]] = {
    "digits": digits,
    "pixel_table": table,
    "pixel_array": array,
    "idx": idx,
    "rows_of_sheets": rows_of_sheets,
    "json_rows": json_rows,
    "image_folder": folder_of_images,
}
"""What ``read: kind`` of a card of images may be."""
