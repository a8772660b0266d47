"""Rows of text out of files and hub datasets, one at a time, with every fault of the input said in one line.

No file is ever read whole (a package's own module excepted) and nothing but `hub` touches a network. A corpus may
therefore be larger than memory, and a file that is not text is found out at its first bad line.
"""

from __future__ import annotations

import ast
import csv
import json
import os
import re
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


def read_file(path: Path, fields: Sequence[str] = ()) -> Iterator[Row]:
    """The texts of a file, by its ending.

    ``.txt``: a sentence a line. ``.jsonl``: an object a line. ``.csv``: quoted, with a line of column names.
    ``.tsv``: the same without quoting. Of the last three, each of `fields` gives a text; none are needed where there is
    a column "text" or only one column of strings. A field that is a number counts the columns of a table without names,
    from 1. A column "label" is kept.
    """
    ending = path.suffix.lower()
    if ending == ".txt":
        if fields:
            raise UserError(f"{path} has no fields, but field {fields[0]!r} is asked for")
        return (Row(line) for line in lines(path))
    if ending == ".jsonl":
        return _rows(path, json_objects(path), fields)
    if ending in (".csv", ".tsv"):
        return _rows(path, table_records(path, nameless=any(field.isdigit() for field in fields)), fields)
    raise UserError(f"{path}: unknown ending {ending!r}; {', '.join(ENDINGS)} are accepted")


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
        raise UserError(f"{name}: which field holds the text? --field with one of: {', '.join(available)}")
    for field in fields:
        if field not in available:
            raise UserError(f"{name} has no field {field!r}; it has: {', '.join(available)}")
    return fields


def _rows(path: Path, records: Iterator[tuple[int, Mapping[str, Any]]], fields: Sequence[str]) -> Iterator[Row]:
    chosen: Sequence[str] = ()
    for number, record in records:
        if not chosen:
            chosen = choose_fields(str(path), fields, [k for k, v in record.items() if isinstance(v, str)])
        for field in chosen:
            if not isinstance(record.get(field), str):
                raise UserError(f"{path}, line {number}: field {field!r} is missing or not a string")
            yield Row(record[field], str(record.get("label", "")))


def python_string(path: Path) -> Iterator[Row]:
    """The longest triple-quoted string in a Python file, which is not run. Raises UserError if there is none."""
    require_file(path)
    strings = re.findall(r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""', path.read_text(encoding="utf-8"), flags=re.DOTALL)
    if not strings:
        raise UserError(f"{path} has no triple-quoted string")
    yield Row(ast.literal_eval(max(strings, key=len)))


def table(
    path: Path,
    text: str,
    label: str | None = None,
    names: Mapping[str, str] | None = None,
    where: Mapping[str, str] | None = None,
) -> Iterator[Row]:
    """Column `text` of a ``.csv`` or ``.tsv`` file, with its label renamed by `names`, of the rows equal to `where`."""
    names, where = names or {}, where or {}
    for _, record in table_records(path, nameless=False):
        choose_fields(str(path), [text, *([label] if label else []), *where], list(record))
        if all(record[column] == value for column, value in where.items()):
            value = record[label] if label else ""
            yield Row(record[text], names.get(value, value))


def matched_lines(path: Path, pattern: str) -> Iterator[Row]:
    """The lines that `pattern` matches whole, with its groups ``text`` and ``label``."""
    matches = (re.fullmatch(pattern, line) for line in lines(path))
    return (Row(match["text"], match["label"]) for match in matches if match)


def folder_of_files(path: Path, glob: str, cap: int) -> Iterator[Row]:
    """The lines of every file in a folder that `glob` matches, in the order of their names."""
    if not path.is_dir():
        raise UserError(f"{path} is not a folder")
    files = sorted(path.glob(glob))
    if not files:
        raise UserError(f"{path} has no files {glob}")
    return (Row(line) for file in files for line in lines(file, cap))


def hub(name: str, fields: Sequence[str] = ()) -> tuple[str, Callable[[], Iterator[Row]]]:
    """The training split of a hub dataset: its fingerprint and its rows, memory mapped."""
    data = hub_split(name)
    strings = [k for k, v in data.features.items() if getattr(v, "dtype", None) in ("string", "large_string")]
    chosen = choose_fields(f"hf:{name}", fields, strings)

    def rows() -> Iterator[Row]:
        for record in data.select_columns(list(chosen)):
            for field in chosen:
                yield Row(record[field] or "")

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
