"""Characters of fonts as images: pairs of one font and another, or a whole alphabet of a font at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from textgan.data.cache import cached
from textgan.data.cards import card_arguments, card_names, file_identity, load_card
from textgan.data.images.corpus import as_numbers
from textgan.data.images.pairs import PairSpec
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError, check_at_least, check_fields

FORMAT = 1
"""Raised whenever the same fonts may be drawn differently than before."""
ENDINGS = (".ttf", ".otf", ".ttc")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CHARACTERS = LETTERS + LETTERS.lower() + "0123456789"
FIT = 0.72
"""Height of a font's capitals and descenders together, as a share of the image's height."""


class Glyphs(NamedTuple):
    """Characters in one font, the same in others."""

    source: Tensor
    """(B, 1, H, W): in the font that all are given in."""
    target: Tensor
    """(B, 1, H, W): in the font `style`."""
    style: Tensor
    """(B,)"""


class Alphabets(NamedTuple):
    """All characters of some fonts."""

    glyphs: Tensor
    """(B, K, H, W)"""
    style: Tensor
    """(B,)"""


@dataclass(frozen=True)
class GlyphSpec(PairSpec):
    """Pairs of glyphs, of which the targets have one of several styles."""

    styles: tuple[str, ...] = ()
    """Names of the fonts of the targets."""


@dataclass(frozen=True)
class AlphabetSpec(ImageSpec):
    """Whole alphabets; `channels` counts characters."""

    characters: str = LETTERS


@dataclass(frozen=True)
class GlyphConfig:
    """How fonts become images. None: what the corpus's card says, else the default named."""

    size: int | None = None
    """Height and width in pixels. Default: 16."""
    characters: str | None = None
    """Which are drawn, all different. Default: letters and digits; of alphabets: capital letters. A font that lacks
    one is left out."""
    source: str | None = None
    """Name of the font that characters are given in. Default: the first one by name."""
    valid: float | None = None
    """Fraction of the characters (of alphabets: of the fonts) in the validation split. Default: 0.1."""
    test: float | None = None
    """Fraction in the test split. Default: 0.2."""
    limit: int | None = None
    """Use only so many fonts, the first by name. Default: all."""

    def __post_init__(self) -> None:
        check_at_least(8, "data", self, "size")
        check_at_least(3, "data", self, "limit")
        check_fields("data", self, "a fraction between 0 and 1", lambda share: 0 < share < 1, "valid", "test")
        check_fields("data", self, "six characters or more, all different", _differ, "characters")


@dataclass(frozen=True)
class GlyphSettings(GlyphConfig):
    """A `GlyphConfig` in which everything is decided."""

    size: int = 16
    characters: str = CHARACTERS
    valid: float = 0.1
    test: float = 0.2


@dataclass(frozen=True)
class GlyphReport:
    """What became of the fonts."""

    corpus: str
    title: str
    fonts: tuple[str, ...]
    left_out: int
    """Fonts that lack a character."""
    characters: str
    size: int
    train: int
    valid: int
    test: int

    def lines(self) -> list[str]:
        """The report for people."""
        return [
            f"{self.corpus}: {self.title}",
            f"{len(self.fonts)} fonts ({self.left_out} left out, which lack a character): {', '.join(self.fonts)}",
            f"{len(self.characters)} characters, {self.size} x {self.size}: {self.characters}",
            f"{self.train:,} to train, {self.valid:,} to validate, {self.test:,} to test",
        ]

    def as_dict(self) -> dict[str, Any]:
        """The report for machines."""
        return asdict(self)


class GlyphSplit:
    """Every style of some characters."""

    def __init__(self, source: UInt8[np.ndarray, "k ..."], targets: UInt8[np.ndarray, "fonts k ..."]) -> None:
        self._source, self._targets = source, targets

    def __len__(self) -> int:
        return self._targets.shape[0] * self._targets.shape[1]

    def take(self, indices: Int[Tensor, " n"]) -> Glyphs:
        style, character = indices // len(self._source), indices % len(self._source)
        target = self._targets[style.numpy(), character.numpy()]
        return Glyphs(as_numbers(self._source[character.numpy()]), as_numbers(target), style)

    def pairs(self, limit: int | None = None) -> Glyphs:
        """`limit` pairs, evenly spaced; all where there are no more."""
        n = len(self) if limit is None else min(limit, len(self))
        return self.take(torch.arange(n) * len(self) // n)


class AlphabetSplit:
    """Every character of some fonts."""

    def __init__(self, glyphs: UInt8[np.ndarray, "fonts k 1 size size"], first: int) -> None:
        self._glyphs, self._first = glyphs[:, :, 0], first

    def __len__(self) -> int:
        return len(self._glyphs)

    def take(self, indices: Int[Tensor, " n"]) -> Alphabets:
        return Alphabets(as_numbers(self._glyphs[indices.numpy()]), indices + self._first)

    def alphabets(self, limit: int | None = None) -> Float[Tensor, "n characters size size"]:
        """The first `limit` fonts, or all."""
        return as_numbers(self._glyphs[:limit])


@dataclass(frozen=True)
class GlyphCorpus:
    """Glyphs, or alphabets, to train on, to validate with and to test with."""

    name: str
    spec: GlyphSpec | AlphabetSpec
    config: GlyphSettings
    train: Any
    valid: Any
    test: Any
    report: GlyphReport

    @property
    def signature(self) -> str:
        """What the numbers of an example stand for."""
        return f"glyphs.{len(self.report.characters)}.{self.report.size}"

    def save(self, folder: Path) -> None:
        """A model needs nothing beside its weights."""


def open_glyphs(spec: str, config: GlyphConfig) -> GlyphCorpus:
    """Pairs of the source font and each other one. Some characters are held out, in every font.

    Raises:
        UserError: there are not three fonts, or no such source; for everything else that the user can put right.
    """
    title, settings, names, glyphs, left_out = _drawn(spec, config, CHARACTERS)
    source = settings.source or names[0]
    if source not in names:
        raise UserError(f"data.source is {source!r}; it must be one of the fonts {', '.join(names)}")
    place = names.index(source)
    styles = names[:place] + names[place + 1 :]
    given, targets = glyphs[place], np.delete(glyphs, place, axis=0)
    parts = _split(settings.characters, settings)
    splits = {split: GlyphSplit(given[found], targets[:, found]) for split, found in parts.items()}
    size, counts = settings.size, {split: len(rows) for split, rows in splits.items()}
    glyph_spec = GlyphSpec(1, size, size, counts["train"], (), 1, size, size, styles=styles)
    report = GlyphReport(_name(spec), title, names, left_out, settings.characters, size, **counts)
    return GlyphCorpus(_name(spec), glyph_spec, settings, **splits, report=report)


def open_alphabets(spec: str, config: GlyphConfig) -> GlyphCorpus:
    """All characters of each font. Some fonts are held out.

    Raises:
        UserError: as `open_glyphs`.
    """
    title, settings, names, glyphs, left_out = _drawn(spec, config, LETTERS)
    parts = _split(names, settings)
    order = [place for found in parts.values() for place in found]
    firsts = {split: sum(len(f) for f in list(parts.values())[:i]) for i, split in enumerate(parts)}
    splits = {split: AlphabetSplit(glyphs[found], firsts[split]) for split, found in parts.items()}
    size, counts = settings.size, {split: len(rows) for split, rows in splits.items()}
    spec_of = AlphabetSpec(len(settings.characters), size, size, counts["train"], (), settings.characters)
    fonts = tuple(names[place] for place in order)
    report = GlyphReport(_name(spec), title, fonts, left_out, settings.characters, size, **counts)
    return GlyphCorpus(_name(spec), spec_of, settings, **splits, report=report)


def _drawn(spec: str, config: GlyphConfig, characters: str) -> tuple[str, GlyphSettings, tuple[str, ...], Any, int]:
    """A corpus's title, its settings, the names of its fonts, its glyphs ``(fonts, characters, 1, size, size)`` and
    how many fonts lack a character."""
    name, _, given = spec.partition(":")
    title, defaults, only = spec, {}, None
    folder = Path(spec).expanduser()
    if name in card_names():
        card = load_card(name)
        if card.read.get("kind") != "fonts":
            raise UserError(f"corpus {name!r} has no fonts: {card.title}")
        title, defaults, only = card.title, dict(card.defaults), card.read.get("names")
        (folder,) = card_arguments(card, given)
    elif not folder.is_dir():
        if not folder.exists() and folder.name == spec:
            load_card(spec, {"fonts"}, "a folder of fonts")  # says which names there are
        raise UserError(f"{spec} is not a folder of fonts: files ending in {', '.join(ENDINGS)} are accepted")
    said = {f.name: getattr(config, f.name) for f in fields(config) if getattr(config, f.name) is not None}
    settings = GlyphSettings(**{"characters": characters, **defaults, **said})
    files = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in ENDINGS]
    files = [file for file in files if only is None or file.stem in only][: settings.limit]
    identity = ["glyphs", FORMAT, [file_identity(file) for file in files], settings.characters, settings.size]
    place = cached(identity, partial(_draw, files, settings))
    names = tuple((place / "fonts.txt").read_text(encoding="utf-8").split("\n"))
    if len(names) < 3:
        raise UserError(f"{spec} has {len(files)} fonts, of which {len(names)} have all characters; three are needed")
    return title, settings, names, np.load(place / "glyphs.npy"), len(files) - len(names)


def _draw(files: Sequence[Path], settings: GlyphSettings, folder: Path) -> None:
    """Draw every character of every font that has them all."""
    names, drawn = [], []
    for file in files:
        glyphs = draw_font(file, settings.characters, settings.size)
        if glyphs is not None:
            names.append(file.stem)
            drawn.append(glyphs)
    (folder / "fonts.txt").write_text("\n".join(names), encoding="utf-8")
    np.save(folder / "glyphs.npy", np.array(drawn, dtype=np.uint8))


def draw_font(file: Path, characters: str, size: int) -> UInt8[np.ndarray, "k 1 size size"] | None:
    """Each character in white on black, all of one size and on one line; None for a font that lacks one.

    Raises:
        UserError: the file is not a font.
    """
    try:
        font = ImageFont.truetype(str(file), size)
    except OSError as error:
        raise UserError(f"{file} is not a font that can be read: {error}") from error
    _, top, _, bottom = font.getbbox("Hg" if "g" in characters else characters[0], anchor="ls")
    font = ImageFont.truetype(str(file), max(4, round(size * size * FIT / max(bottom - top, 1))))
    _, top, _, bottom = font.getbbox("Hg" if "g" in characters else characters[0], anchor="ls")
    base = (size - (bottom - top)) / 2 - top
    nothing = font.getmask(chr(0xFFFF)).getbbox(), bytes(font.getmask(chr(0xFFFF)))
    images = []
    for character in characters:
        mask = font.getmask(character)
        if (mask.getbbox(), bytes(mask)) == nothing or mask.getbbox() is None:
            return None
        image = Image.new("L", (size, size), 0)
        ImageDraw.Draw(image).text((size / 2, base), character, font=font, fill=255, anchor="ms")
        images.append(np.asarray(image)[None])
    return np.stack(images)


def _split(names: Sequence[str], settings: GlyphSettings) -> dict[str, list[int]]:
    """Places in three splits, by a hash of each name; at least one in each.

    Raises:
        UserError: none is left to train on.
    """
    keys = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names]
    order = sorted(range(len(names)), key=lambda i: keys[i])
    test = max(1, round(settings.test * len(order)))
    valid = max(1, round(settings.valid * len(order)))
    if test + valid >= len(order):
        raise UserError(
            f"of {len(order)}, {valid} to validate with and {test} to test with leave none to train on: give smaller "
            "fractions data.valid and data.test, or more"
        )
    return {
        "train": sorted(order[test + valid :]),
        "valid": sorted(order[test : test + valid]),
        "test": sorted(order[:test]),
    }


def _differ(characters: str) -> bool:
    return len(set(characters)) == len(characters) > 5


def _name(spec: str) -> str:
    name = spec.partition(":")[0]
    return name if name in card_names() else Path(spec).expanduser().resolve().name
