"""The files of packages, read as their cards say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.data.test_readers import written
from textgan.data import card_readers
from textgan.data.readers import Row
from textgan.errors import UserError


def test_the_longest_string_of_a_python_file_is_read_without_running_it(tmp_path: Path) -> None:
    program = 'raise SystemExit("no")\nshort = """ab"""\nlong = f(1, """x \\\\ "quoted" \\"""\nend""")\n'
    path = written(tmp_path / "a.py", program)
    assert [row.text for row in card_readers.python_string(path)] == ['x \\ "quoted" """\nend']
    with pytest.raises(UserError, match="no triple-quoted string"):
        list(card_readers.python_string(written(tmp_path / "b.py", "x = 1\n")))


def test_a_labelled_table_is_filtered_and_its_labels_renamed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "text,label,source\na,0,x\nb,1,y\nc,1,x\n")
    rows = card_readers.table(path, "text", "label", {"0": "bad", "1": "good"}, {"source": "x"})
    assert list(rows) == [Row("a", "bad"), Row("c", "good")]


def test_lines_of_a_pattern_give_text_and_label(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "HUM:ind Who ?\nnonsense\nLOC:city Where ?\n")
    rows = card_readers.matched_lines(path, r"(?P<label>[A-Z]+):\w+ (?P<text>.+)")
    assert list(rows) == [Row("Who ?", "HUM"), Row("Where ?", "LOC")]


def test_a_folder_is_read_in_the_order_of_its_files(tmp_path: Path) -> None:
    written(tmp_path / "2.txt", "b\n")
    written(tmp_path / "1.txt", "a\n")
    written(tmp_path / "1.json", json.dumps({}))
    assert [row.text for row in card_readers.folder_of_files(tmp_path, "*.txt", cap=10)] == ["a", "b"]
    with pytest.raises(UserError, match=r"has no files \*.md"):
        list(card_readers.folder_of_files(tmp_path, "*.md", cap=10))


def test_a_string_is_labelled_from_where_the_file_says_each_part_begins(tmp_path: Path) -> None:
    text = "One. Two is \\\\1\\\\ here.Three now: four. Five."  # as in the source, where a backslash is two
    begins = {100: 0, 200: text.index("Three"), 300: text.index("Five") - 1}
    table = "".join(f"        {key}: {begin},\n" for key, begin in begins.items())
    ends = "".join(f"        {key}: 999,\n" for key in begins)
    path = written(tmp_path / "a.py", f'x = f(\n    """{text}""",\n    {{\n{table}    }},\n    {{\n{ends}    }},\n)\n')
    rows = list(card_readers.python_string(path, {"a": 100, "b": 200, "c": 300}))
    # "Three" begins inside a sentence, which stays whole.
    assert rows == [Row("One. Two is \\1\\ here.Three now:", "a"), Row(" four.", "b"), Row(" Five.", "c")]
    with pytest.raises(UserError, match=r"a.py does not tell where 400 begins"):
        list(card_readers.python_string(path, {"a": 400}))
