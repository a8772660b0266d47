"""Where images come from: what the user calls a corpus, found. Nothing is read until its pictures are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from textgan.data.cards import card_arguments, card_names, file_identity, load_card
from textgan.data.images import readers
from textgan.data.images.readers import Picture
from textgan.data.labelled import in_turn
from textgan.errors import UserError


@dataclass(frozen=True)
class ImageSource:
    """Where a corpus's images come from."""

    name: str
    title: str
    licence: str
    defaults: Mapping[str, Any]
    """Options that hold where the user says nothing."""
    identity: list[Any]
    """Plain values that change whenever the images may have changed."""
    pictures: Callable[[], Iterator[Picture]]

    def limited(self, limit: int | None) -> ImageSource:
        """So many of its images, of each label in turn."""
        return self if limit is None else replace(self, pictures=partial(in_turn, self.pictures, limit))


def open_image_source(spec: str) -> ImageSource:
    """The images that a spec names. Nothing is read yet.

    Raises UserError for a spec that is none, a corpus that has no images, a folder without any.
    """
    if spec.startswith("hf:"):
        name = spec.removeprefix("hf:")
        fingerprint, pictures = readers.hub(name)
        return ImageSource(name.rpartition("/")[2], spec, "", {}, [spec, fingerprint], pictures)
    name, _, given = spec.partition(":")
    if name in card_names():
        return _card_source(name, given)
    path = Path(spec).expanduser()
    if not path.exists() and not path.suffix and path.name == spec:
        load_card(spec, readers.READERS, "a folder of images, a .npy file, hf:NAME")  # says which names there are
    if path.suffix.lower() == ".npy":
        return ImageSource(path.stem, path.name, "", {}, [file_identity(path)], partial(readers.array, path))
    files = readers.image_files(path)
    identity = [file_identity(file) for file in files]
    return ImageSource(path.resolve().name, path.name, "", {}, identity, partial(readers.folder_of_images, path))


def _card_source(name: str, given: str) -> ImageSource:
    card = load_card(name)
    options = dict(card.read)
    kind = options.pop("kind")
    if kind not in readers.READERS:
        raise UserError(f"corpus {name!r} has no images: {card.title}")
    files = card_arguments(card, given)
    read = partial(readers.READERS[kind], *files, **options)
    identity = [asdict(card), *map(file_identity, files)]
    return ImageSource(name, card.title, card.licence, card.defaults, identity, read)
