"""Rows of text out of the files of packages, each in a form of its own, as the cards of corpora describe them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from textgan.data.readers import Row, choose_fields, lines, require_file, table_records
from textgan.errors import UserError


def python_string(path: Path, parts: Mapping[str, int] | None = None) -> Iterator[Row]:
    """The longest triple-quoted string in a Python file, which is not run.

    `parts` labels it piece by piece: where each begins is told, counted in the source, by a dictionary behind the
    string, of which the key is given. It begins there with the next sentence, so that none is cut.
    Raises UserError if there is no such string or key.
    """
    require_file(path)
    source = path.read_text(encoding="utf-8")
    strings = re.finditer(r'"""([^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*)"""', source, flags=re.DOTALL)
    longest = max(strings, key=lambda match: len(match[0]), default=None)
    if longest is None:
        raise UserError(f"{path} has no triple-quoted string")
    if parts is None:
        yield Row(ast.literal_eval(longest[0]))
        return
    begins = [_next_sentence(longest[1], _entry(path, source, longest.end(), key)) for key in parts.values()]
    for begin, end, label in zip(begins, [*begins[1:], None], parts, strict=True):
        yield Row(ast.literal_eval(f'"""{longest[1][begin:end]}"""'), label)


def _entry(path: Path, source: str, begin: int, key: int) -> int:
    """The number that the first dictionary after `begin` has under `key`."""
    found = re.compile(rf"^\s*{key}: (\d+),$", flags=re.MULTILINE).search(source, begin)
    if found is None:
        raise UserError(f"{path} does not tell where {key} begins")
    return int(found[1])


def _next_sentence(text: str, begin: int) -> int:
    found = re.compile(r"(?<=[.?!;:])\s").search(text, begin)
    return 0 if begin == 0 else found.start() if found else len(text)


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
