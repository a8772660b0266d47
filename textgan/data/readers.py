"""Rows of text out of files and hub datasets, one at a time, with every fault of the input said in one line.

No file is ever read whole and nothing but `hub` touches a network. A corpus may
therefore be larger than memory, and a file that is not text is found out at its first bad line.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from textgan.errors import UserError

ENDINGS = (".txt", ".jsonl", ".csv", ".tsv")
LINE_CAP = 100_000
"""Characters of the longest line that is accepted."""


class Row(NamedTuple):
    """A text and, where the corpus has them, its label."""

    text: str
    label: str = ""


LABEL = "label"
"""The column of a table that holds the label, where no other is named."""


def require_file(path: Path) -> None:
    """Raises UserError unless `path` is a regular, readable file that is not empty."""
    if path.is_dir():
        raise UserError(f"{path} is a folder: a file ending in {', '.join(ENDINGS)} is accepted")
    if not path.exists():
        raise UserError(f"{path} does not exist")
    if not path.is_file() or not os.access(path, os.R_OK):
        raise UserError(f"{path} is not a file that can be read")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty")


def lines(path: Path, cap: int = LINE_CAP) -> Iterator[str]:
    """The lines of a UTF-8 file without their ends (LF or CRLF) and without a byte order mark.

    Raises UserError, naming the line, for NUL bytes, for anything that is not UTF-8 and for a line of more than `cap`
    characters.
    """
    require_file(path)
    most_bytes = 4 * cap + 2
    with path.open("rb") as file:
        for number, raw in enumerate(iter(lambda: file.readline(most_bytes + 1), b""), start=1):
            where = f"{path}, line {number}"
            if b"\0" in raw:
                raise UserError(f"{where}: NUL bytes; this is not a text file")
            if len(raw) > most_bytes:
                raise UserError(f"{where}: longer than {cap:,} characters")
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{where}: not UTF-8 (byte {error.object[error.start]:#04x}); convert the file to UTF-8"
                ) from error
            if len(line) > cap:
                raise UserError(f"{where}: longer than {cap:,} characters")
            yield line


def read_file(path: Path, fields: Sequence[str] = (), label: str | None = None) -> Iterator[Row]:
    """The texts of a file, by its ending, or of a folder of ``.txt`` files, whose names are the labels.

    ``.txt``: a sentence a line. ``.jsonl``: an object a line. ``.csv``: quoted, with a line of column names.
    ``.tsv``: the same without quoting. Of the last three, each of `fields` gives a text; none are needed where there is
    a column "text" or, `label` aside, only one column of strings. A field that is a number counts the columns of a
    table without names, from 1. The column `label` is kept; None: that of this name, if there is one.
    """
    ending = path.suffix.lower()
    asked = [*fields, *([] if label is None else [label])]
    if asked and (path.is_dir() or ending == ".txt"):
        raise UserError(f"{path} has no fields, but field {asked[0]!r} is asked for")
    if path.is_dir():
        return (Row(line, file.stem) for file in text_files(path) for line in lines(file))
    if ending == ".txt":
        return (Row(line) for line in lines(path))
    if ending == ".jsonl":
        return _rows(path, json_objects(path), fields, label)
    if ending in (".csv", ".tsv"):
        nameless = any(field.isdigit() for field in asked)
        return _rows(path, table_records(path, nameless), fields, label)
    raise UserError(f"{path}: unknown ending {ending!r}; {', '.join(ENDINGS)} are accepted")


def text_files(folder: Path) -> list[Path]:
    """The ``.txt`` files of a folder, by name. Raises UserError if there are none."""
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise UserError(
            f"{folder} is a folder without .txt files: one for each category, or a file ending in "
            f"{', '.join(ENDINGS)}, is accepted"
        )
    return files


def json_objects(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The line number and the object of every line of a ``.jsonl`` file that is not blank."""
    for number, line in enumerate(lines(path), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: not JSON ({error})") from error
        if not isinstance(record, dict):
            raise UserError(f"{path}, line {number}: a JSON object is expected, not {type(record).__name__}")
        yield number, record


def table_records(path: Path, nameless: bool) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The line number and the cells by column name of every row of a ``.csv`` or ``.tsv`` file.

    `nameless`: the first line is a row as well, and columns are called by their number from 1.
    """
    ended = (line + "\n" for line in lines(path))
    if path.suffix.lower() == ".tsv":
        reader = csv.reader(ended, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(ended)
    names: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if names is None:
                names = [str(i + 1) for i in range(len(cells))] if nameless else cells
                if not nameless:
                    continue
            if len(cells) != len(names):
                raise UserError(
                    f"{path}, line {reader.line_num}: {len(cells)} columns where the first line has {len(names)}"
                )
            yield reader.line_num, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not a table ({error})") from error


def choose_fields(name: str, fields: Sequence[str], available: Sequence[str]) -> Sequence[str]:
    """The fields asked for, or the evident one. Raises UserError that lists those there are."""
    if not fields:
        if "text" in available:
            return ["text"]
        if len(available) == 1:
            return available
        raise UserError(f"{name}: which field holds the text? --corpus-field with one of: {', '.join(available)}")
    for field in fields:
        if field not in available:
            raise UserError(f"{name} has no field {field!r}; it has: {', '.join(available)}")
    return fields


def without_label(columns: Sequence[str], label: str | None) -> list[str]:
    """The columns that may hold the text where nothing is said."""
    return [column for column in columns if column != (LABEL if label is None else label)]


def _label(value: object, names: Sequence[str] | None = None) -> str:
    """A label as a string: of no value none, of a number its name where numbers have `names` (-1 has none)."""
    if value is None:
        return ""
    if names is not None and isinstance(value, int):
        return names[value] if value >= 0 else ""
    return str(value).strip()


def _rows(
    path: Path, records: Iterator[tuple[int, Mapping[str, Any]]], fields: Sequence[str], label: str | None
) -> Iterator[Row]:
    chosen: Sequence[str] = ()
    for number, record in records:
        if not chosen:
            strings = [k for k, v in record.items() if isinstance(v, str)]
            chosen = choose_fields(str(path), fields, strings if fields else without_label(strings, label))
        if label is not None:
            choose_fields(f"{path}, line {number}", [label], list(record))
        category = _label(record.get(LABEL if label is None else label))
        for field in chosen:
            if not isinstance(record.get(field), str):
                raise UserError(f"{path}, line {number}: field {field!r} is missing or not a string")
            yield Row(record[field], category)


def hub(name: str, fields: Sequence[str] = (), label: str | None = None) -> tuple[str, Callable[[], Iterator[Row]]]:
    """The training split of a hub dataset: its fingerprint and its rows, memory mapped.

    `label`: the column that holds the label, by name where it is of numbers that have names; None: "label", if there
    is such a column.
    """
    data = hub_split(name)
    strings = [k for k, v in data.features.items() if getattr(v, "dtype", None) in ("string", "large_string")]
    chosen = choose_fields(f"hf:{name}", fields, strings if fields else without_label(strings, label))
    if label is not None:
        choose_fields(f"hf:{name}", [label], list(data.features))
    column = LABEL if label is None and LABEL in data.features else label
    wanted = list(dict.fromkeys([*chosen, *([column] if column else [])]))
    names = getattr(data.features.get(column), "names", None)

    def rows() -> Iterator[Row]:
        for record in data.select_columns(wanted):
            category = _label(record[column] if column else None, names)
            for field in chosen:
                yield Row(record[field] or "", category)

    return data._fingerprint, rows


def hub_split(name: str) -> Any:
    """The training split, or the only one, of a hub dataset, as `datasets.Dataset`. Raises UserError without one."""
    import datasets  # takes a second
    import huggingface_hub

    datasets.disable_progress_bars()
    huggingface_hub.logging.set_verbosity_error()
    try:
        found = datasets.load_dataset(name)
    except Exception as error:  # the hub's client raises dozens of kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"hf:{name} cannot be had: {reason}") from error
    splits = dict(found)
    if "train" not in splits and len(splits) > 1:
        raise UserError(f"hf:{name} has no split 'train'; it has: {', '.join(splits)}")
    return splits.get("train") or next(iter(splits.values()))
