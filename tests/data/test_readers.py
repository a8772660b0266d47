"""Reading files: what is accepted comes out right, what is not is named in one line."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest

from textgan.data import readers
from textgan.data.readers import LINE_CAP, Row, read_file
from textgan.errors import UserError


def texts(path: Path, *fields: str) -> list[str]:
    return [row.text for row in read_file(path, fields)]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_byte_order_mark_and_both_line_ends_are_taken_off(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", b"\xef\xbb\xbfone\r\ntwo\n\nthr\xc3\xa9e")
    assert texts(path) == ["one", "two", "", "thrée"]


def test_json_lines_give_the_field_asked_for_or_the_only_one(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", '{"text": "a", "n": 1}\n\n{"text": "b\\nc", "n": 2}\n')
    assert texts(path) == ["a", "b\nc"]
    path = written(tmp_path / "b.jsonl", '{"x": "a", "y": "b", "label": "l"}\n')
    assert list(read_file(path, ["y"])) == [Row("b", "l")]
    assert texts(path, "x", "y") == ["a", "b"]


def test_tables_are_read_by_column(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", 'id,sentence\r\n1,"a, ""b""\r\nc"\r\n\r\n2,d\r\n')
    assert texts(path, "sentence") == ['a, "b"\nc', "d"]
    assert texts(written(tmp_path / "one.csv", "sentence\nx\ny\n")) == ["x", "y"]
    path = written(tmp_path / "a.tsv", 'text\tlabel\n"a\tspam\n')
    assert list(read_file(path)) == [Row('"a', "spam")]


def test_a_number_counts_the_columns_of_a_table_without_names(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tsv", "ham\thello\nspam\tbuy\n")
    assert texts(path, "2") == ["hello", "buy"]


@pytest.mark.parametrize(
    ("name", "content", "fields", "message"),
    [
        ("a.txt", b"", (), "a.txt is empty"),
        ("a.txt", b"fine\na\0b\n", (), "a.txt, line 2: NUL bytes"),
        ("a.txt", b"fine\nfine\ncaf\xe9\n", (), r"a.txt, line 3: not UTF-8 \(byte 0xe9\)"),
        ("a.txt", "fine\n".encode("utf-16"), (), "a.txt, line 1: (not UTF-8|NUL bytes)"),
        ("a.txt", b"x\n" + b"y" * (LINE_CAP + 1), (), "a.txt, line 2: longer than 100,000 characters"),
        ("a.txt", b"y" * (5 * LINE_CAP), (), "a.txt, line 1: longer than 100,000 characters"),
        ("a.txt", b"x\n", ("text",), "has no fields, but field 'text'"),
        ("a.pdf", b"x\n", (), r"unknown ending '.pdf'; .txt, .jsonl, .csv, .tsv are accepted"),
        ("a.jsonl", b'{"text": "a"}\n{text\n', (), "a.jsonl, line 2: not JSON"),
        ("a.jsonl", b"[1]\n", (), "a.jsonl, line 1: a JSON object is expected, not list"),
        ("a.jsonl", b'{"x": "a", "y": "b", "n": 1}\n', (), "which field holds the text.* one of: x, y$"),
        ("a.jsonl", b'{"x": "a", "y": "b"}\n', ("z",), "has no field 'z'; it has: x, y$"),
        ("a.jsonl", b'{"text": "a"}\n{"text": 1}\n', (), "line 2: field 'text' is missing or not a string"),
        ("a.csv", b"x,y\n1,2\n", ("z",), "has no field 'z'; it has: x, y$"),
        ("a.csv", b"text,y\n1,2\n3\n", (), "a.csv, line 3: 1 columns where the first line has 2"),
        ("a.csv", b'text\n"' + b"a\n" * 70_000, (), "not a table"),
        ("a.csv", b"x,y\n1,2\n", ("3",), "has no field '3'; it has: 1, 2$"),
    ],
)
def test_a_fault_is_named_in_one_line(
    tmp_path: Path, name: str, content: bytes, fields: tuple[str, ...], message: str
) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(UserError, match=message) as caught:
        texts(path, *fields)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing.txt does not exist"):
        texts(tmp_path / "nothing.txt")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(UserError, match=r"folder.txt is a folder: a file ending in .txt"):
        texts(tmp_path / "folder.txt")


def test_a_line_as_long_as_the_cap_is_accepted(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "秦" * LINE_CAP + "\r\nnext\n")
    assert [len(text) for text in texts(path)] == [LINE_CAP, 4]


def test_the_longest_string_of_a_python_file_is_read_without_running_it(tmp_path: Path) -> None:
    program = 'raise SystemExit("no")\nshort = """ab"""\nlong = f(1, """x \\\\ "quoted" \\"""\nend""")\n'
    path = written(tmp_path / "a.py", program)
    assert [row.text for row in readers.python_string(path)] == ['x \\ "quoted" """\nend']
    with pytest.raises(UserError, match="no triple-quoted string"):
        list(readers.python_string(written(tmp_path / "b.py", "x = 1\n")))


def test_a_labelled_table_is_filtered_and_its_labels_renamed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "text,label,source\na,0,x\nb,1,y\nc,1,x\n")
    rows = readers.table(path, "text", "label", {"0": "bad", "1": "good"}, {"source": "x"})
    assert list(rows) == [Row("a", "bad"), Row("c", "good")]


def test_lines_of_a_pattern_give_text_and_label(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "HUM:ind Who ?\nnonsense\nLOC:city Where ?\n")
    rows = readers.matched_lines(path, r"(?P<label>[A-Z]+):\w+ (?P<text>.+)")
    assert list(rows) == [Row("Who ?", "HUM"), Row("Where ?", "LOC")]


def test_a_folder_is_read_in_the_order_of_its_files(tmp_path: Path) -> None:
    written(tmp_path / "2.txt", "b\n")
    written(tmp_path / "1.txt", "a\n")
    written(tmp_path / "1.json", json.dumps({}))
    assert [row.text for row in readers.folder_of_files(tmp_path, "*.txt", cap=10)] == ["a", "b"]
    with pytest.raises(UserError, match=r"has no files \*.md"):
        list(readers.folder_of_files(tmp_path, "*.md", cap=10))


def test_a_hub_dataset_out_of_reach_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^hf:no/such_data cannot be had: .+") as caught:
        readers.hub("no/such_data")
    assert "\n" not in str(caught.value)


def test_a_hub_dataset_gives_the_rows_of_its_training_split(monkeypatch: pytest.MonkeyPatch) -> None:
    train = datasets.Dataset.from_dict({"text": ["a", "b"], "other": ["c", None], "n": [1, 2]})
    splits = datasets.DatasetDict({"test": train.select([0]), "train": train})
    monkeypatch.setattr(datasets, "load_dataset", lambda name: splits)
    fingerprint, rows = readers.hub("some/name")
    assert [row.text for row in rows()] == ["a", "b"]
    assert fingerprint == train._fingerprint
    assert [row.text for row in readers.hub("some/name", ["other"])[1]()] == ["c", ""]
    with pytest.raises(UserError, match=r"hf:some/name has no field 'n'; it has: text, other"):
        readers.hub("some/name", ["n"])
