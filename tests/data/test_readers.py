"""Reading files: what is accepted comes out right, what is not is named in one line."""

from __future__ import annotations

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


def test_the_label_is_kept_and_is_not_the_text(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "label,said\n spam ,buy\nham,hello\n")
    assert list(read_file(path)) == [Row("buy", "spam"), Row("hello", "ham")]
    assert list(read_file(path, ["label"])) == [Row(" spam ", "spam"), Row("ham", "ham")]
    records = '{"x": "a", "y": "l", "label": "m", "n": 1}\n{"x": "b", "y": "k", "n": null}\n'
    path = written(tmp_path / "a.jsonl", records)
    assert list(read_file(path, ["x"])) == [Row("a", "m"), Row("b", "")]
    assert list(read_file(path, ["x"], "y")) == [Row("a", "l"), Row("b", "k")]
    assert list(read_file(path, ["x"], "n")) == [Row("a", "1"), Row("b", "")]
    path = written(tmp_path / "a.tsv", "ham\thello\nspam\tbuy\n")
    for fields in (["2"], []):
        assert list(read_file(path, fields, "1")) == [Row("hello", "ham"), Row("buy", "spam")]


def test_the_files_of_a_folder_are_labelled_by_their_names(tmp_path: Path) -> None:
    written(tmp_path / "b.good.txt", "three\n")
    written(tmp_path / "a.txt", "one\ntwo\n")
    written(tmp_path / "c.csv", "text\nfour\n")
    assert list(read_file(tmp_path)) == [Row("one", "a"), Row("two", "a"), Row("three", "b.good")]


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
        ("a.csv", b"x,label,y\n1,2,3\n", (), "which field holds the text.* --corpus-field with one of: x, y$"),
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
    with pytest.raises(UserError, match=r"folder.txt is a folder without .txt files: one for each category, or a file"):
        texts(tmp_path / "folder.txt")
    with pytest.raises(UserError, match=r"folder.txt is a folder: a file ending in .txt"):
        list(readers.lines(tmp_path / "folder.txt"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "x\n", r"a.txt has no fields, but field 'kind' is asked for"),
        ("a.csv", "text\nx\n", r"a.csv, line 2 has no field 'kind'; it has: text$"),
        ("a.jsonl", '{"text": "a", "kind": 1}\n{"text": "b"}\n', r"a.jsonl, line 2 has no field 'kind'; it has: text$"),
    ],
)
def test_a_label_that_is_missing_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(read_file(written(tmp_path / name, content), (), "kind"))


def test_a_line_as_long_as_the_cap_is_accepted(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "秦" * LINE_CAP + "\r\nnext\n")
    assert [len(text) for text in texts(path)] == [LINE_CAP, 4]


def test_a_hub_dataset_out_of_reach_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^hf:no/such_data cannot be had: .+") as caught:
        readers.hub("no/such_data")
    assert "\n" not in str(caught.value)


def test_a_hub_dataset_gives_labels_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names = datasets.ClassLabel(names=["bad", "good"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names, "kind": datasets.Value("string")})
    columns = {"text": ["a", "b", "c"], "label": [1, 0, -1], "kind": ["x", "y", None]}
    train = datasets.Dataset.from_dict(columns, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda name: datasets.DatasetDict({"train": train}))
    assert list(readers.hub("some/name")[1]()) == [Row("a", "good"), Row("b", "bad"), Row("c", "")]
    assert list(readers.hub("some/name", (), "kind")[1]()) == [Row("a", "x"), Row("b", "y"), Row("c", "")]
    with pytest.raises(UserError, match=r"hf:some/name has no field 'n'; it has: text, label, kind"):
        readers.hub("some/name", (), "n")


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
