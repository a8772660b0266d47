"""Story files: every format gives the same story, every fault is said in one line with its place."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest

from textgan.data.story_readers import Cloze, Story, hub_stories, read_cloze, read_stories
from textgan.errors import UserError

FIVE = ("Al had a cat.", "It ran off.", "Al cried, a lot.", "He looked around.", "It came back.")
STORY = Story(FIVE[:4], FIVE[4])
CLOZE_HEADER = (
    "InputStoryid,InputSentence1,InputSentence2,InputSentence3,InputSentence4,"
    "RandomFifthSentenceQuiz1,RandomFifthSentenceQuiz2,AnswerRightEnding"
)
CLOZE_ROW = 'x1,Al had a cat.,It ran off.,"Al cried, a lot.",He looked around.,He sang.,It came back.,2'
ROW = 's1,Cat,Al had a cat.,It ran off.,"Al cried, a lot.",He looked around.,It came back.'
HEADER = "storyid,storytitle,sentence1,sentence2,sentence3,sentence4,sentence5"
CLOZE_FIELDS = CLOZE_HEADER.split(",")


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def stories(path: Path) -> list[Story]:
    assert all(wrong == "" for _, wrong in read_stories(path))
    return [story for story, _ in read_stories(path)]


def test_the_official_file_is_read(tmp_path: Path) -> None:
    assert stories(write(tmp_path / "a.csv", HEADER, ROW, "", ROW)) == [Story(FIVE[:4], FIVE[4], "s1")] * 2


@pytest.mark.parametrize("header", [HEADER.upper(), HEADER.replace(",", " , ").title(), "\ufeff" + HEADER])
def test_headers_are_read_in_any_case(tmp_path: Path, header: str) -> None:
    assert stories(write(tmp_path / "a.csv", header, ROW))[0].sentences == FIVE[:4]


def test_a_cloze_file_is_stories_with_their_right_endings(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", CLOZE_HEADER, CLOZE_ROW)
    assert stories(path) == [Story(FIVE[:4], FIVE[4], "x1")]
    assert list(read_cloze(path)) == [Cloze(FIVE[:4], ("He sang.", FIVE[4]), 1, "x1")]


def test_a_cloze_without_an_answer_has_none_and_is_no_story(tmp_path: Path) -> None:
    blank = write(tmp_path / "blank.csv", CLOZE_HEADER, CLOZE_ROW[:-1])
    missing = write(tmp_path / "missing.csv", CLOZE_HEADER.rpartition(",")[0], CLOZE_ROW[:-2])
    for path in (blank, missing):
        assert list(read_cloze(path)) == [Cloze(FIVE[:4], ("He sang.", FIVE[4]), None, "x1")]
        with pytest.raises(UserError, match=r"csv, line 2: AnswerRightEnding is missing, .*; 1 or 2 is accepted$"):
            stories(path)


@pytest.mark.parametrize(
    "record",
    [
        {"sentences": FIVE},
        {"Context": FIVE[:4], "Ending": FIVE[4]},
        {"context": " ".join(FIVE[:4]), "ending": FIVE[4], "n": 3},
        {f"sentence{i}": text for i, text in enumerate(FIVE, 1)},
        {**dict(zip(CLOZE_FIELDS[1:], [*FIVE[:4], FIVE[4], "He sang.", 1], strict=True))},
    ],
)
def test_all_kinds_of_objects_are_read(tmp_path: Path, record: dict[str, object]) -> None:
    path = write(tmp_path / "a.jsonl", json.dumps(record), "", json.dumps({**record, "id": "7"}))
    assert stories(path) == [STORY, Story(STORY.sentences, STORY.ending, "7")]


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Why?\r\n  Say.", "answer": "So.\n\tAnd so. "},
        {"Question": " Why?\n  Say.", "Completion": "So.\n\tAnd so."},
        {"instruction": "Why?", "input": "  Say.", "output": "So.\n\tAnd so."},
        {"instruction": "Why?\n  Say.", "input": "", "response": "So.\n\tAnd so.", "other": 3},
    ],
)
def test_a_prompt_with_an_answer_is_a_story_of_one_text_that_keeps_its_lines(
    tmp_path: Path, record: dict[str, object]
) -> None:
    path = write(tmp_path / "a.jsonl", json.dumps({**record, "id": "7"}))
    prompt = "Why?\nSay." if record.get("input") else "Why?\n  Say."
    assert stories(path) == [Story((prompt,), "So.\n\tAnd so.", "7")]


def test_prompts_are_read_from_tables_too(tmp_path: Path) -> None:
    story = Story(("Why?\n  Say.",), "So, so.")
    assert stories(write(tmp_path / "a.csv", "Prompt,Answer", '"Why?\n  Say.","So, so."')) == [story]
    assert stories(write(tmp_path / "a.tsv", "question\tanswer", "Why?\tSo, so.")) == [Story(("Why?",), "So, so.")]


@pytest.mark.parametrize("glue", [" ", "\t"])
def test_a_text_file_has_a_story_a_line(tmp_path: Path, glue: str) -> None:
    assert stories(write(tmp_path / "a.txt", glue.join(FIVE), " ", glue.join(FIVE))) == [STORY, STORY]


def test_tab_separated_stories_are_read_with_and_without_names_of_columns(tmp_path: Path) -> None:
    columns = [f"Sentence{i}" for i in range(1, 6)]
    assert stories(write(tmp_path / "a.tsv", "\t".join(FIVE))) == [STORY]
    assert stories(write(tmp_path / "b.tsv", "\t".join(columns), "\t".join(FIVE))) == [STORY]


def test_spaces_and_line_breaks_inside_a_sentence_become_single_spaces(tmp_path: Path) -> None:
    broken = ROW.replace("Al cried, a lot.", "Al  cried,\na lot. ")
    assert stories(write(tmp_path / "a.csv", HEADER, broken))[0].sentences == FIVE[:4]


def line(record: object) -> str:
    return json.dumps(record)


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("a.txt", ["One. Two. Three."], "line 1: 4 sentences and an ending are accepted, found 3"),
        ("a.txt", [" ".join(FIVE), "\t".join(FIVE[:4])], "line 2: 4 sentences and an ending are accepted, found 4"),
        ("a.txt", ["a\tb\t\td\te"], "line 1: sentence 3 is empty; 4 sentences and an ending are accepted, none"),
        ("a.txt", ["a" * 100_001], "line 1: longer than 100,000 characters"),
        ("a.txt", ["a\0b"], "line 1: NUL bytes; this is not a text file"),
        ("a.csv", [HEADER, ROW, ROW.replace("It ran off.", " ")], "line 3: sentence2 is empty"),
        ("a.csv", [HEADER, ROW.rpartition(",")[0]], "line 2: 6 columns where the first line has 7"),
        ("a.csv", [HEADER.rpartition(",")[0], ROW.rpartition(",")[0]], "line 2: sentence5 missing; sentence1 to"),
        (
            "a.jsonl",
            ['{"prompt": "a"}'],
            "line 1: answer or response or completion or output missing; a prompt and its",
        ),
        ("a.jsonl", ['{"answer": "a"}'], "line 1: prompt or question or instruction missing; a prompt and its answer"),
        (
            "a.jsonl",
            ['{"prompt": "a", "answer": " "}'],
            "line 1: answer is empty; a prompt and its answer are accepted",
        ),
        ("a.jsonl", ['{"prompt": ["a"], "answer": "b"}'], "line 1: prompt is not text but list"),
        ("a.csv", ["a,b", "c,d"], "line 2: no story: sentence1 to sentence5, or InputSentence1 .* found: a, b$"),
        ("a.csv", [CLOZE_HEADER, CLOZE_ROW[:-1] + "3"], "line 2: AnswerRightEnding is '3'; 1, 2 or nothing"),
        ("a.jsonl", ["[]"], "line 1: a JSON object is expected, not list"),
        ("a.jsonl", [line({"sentences": FIVE[:3]})], "line 1: 4 sentences and an ending are accepted, found 3"),
        ("a.jsonl", [line({"sentences": "One."})], "line 1: sentences is not a list of sentences but str"),
        ("a.jsonl", [line({"sentences": [*FIVE[:4], 5]})], "line 1: sentence 5 is not text but int"),
        ("a.jsonl", [line({"sentences": [*FIVE[:4], "a\0"]})], "line 1: sentence 5 has NUL bytes"),
        (
            "a.jsonl",
            [line({"context": "One. Two. Three.", "ending": "x"})],
            "line 1: 4 sentences are accepted, found 3",
        ),
        ("a.jsonl", [line({"context": FIVE[:4]})], "line 1: ending missing"),
        ("a.jsonl", [line({"context": FIVE[:4], "ending": "\u200b"})], "line 1: ending is empty"),
    ],
)
def test_a_fault_is_named_with_its_line_and_what_is_accepted(
    tmp_path: Path, name: str, lines: list[str], message: str
) -> None:
    path = write(tmp_path / name, *lines)
    with pytest.raises(UserError, match=message) as caught:
        stories(path)
    assert str(caught.value).startswith(f"{path}, ")
    assert "\n" not in str(caught.value)


def test_bytes_that_are_not_utf8_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(f"{HEADER}\n{ROW}\n".encode() + "Zoë".encode("latin-1"))
    with pytest.raises(UserError, match=r"a.csv, line 3: not UTF-8 \(byte 0xeb\)"):
        stories(path)


def test_a_file_of_stories_is_no_cloze(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 2: no story cloze: InputSentence1 .* found: storyid, storytitle"):
        list(read_cloze(write(tmp_path / "a.csv", HEADER, ROW)))
    with pytest.raises(UserError, match=r"unknown ending '.txt'; .csv, .tsv and .jsonl are accepted here"):
        list(read_cloze(write(tmp_path / "a.txt", "x")))
    with pytest.raises(UserError, match=r"nowhere.csv does not exist"):
        list(read_cloze(tmp_path / "nowhere.csv"))


def test_a_hub_dataset_has_the_columns_of_either_file(monkeypatch: pytest.MonkeyPatch) -> None:
    official = {"storyid": ["s1"], **{f"Sentence{i}": [text] for i, text in enumerate(FIVE, 1)}}
    cloze = dict(zip(CLOZE_FIELDS, [[cell] for cell in ("s1", *FIVE[:4], FIVE[4], "He sang.", 1)], strict=True))
    for columns in (official, cloze):
        train = datasets.Dataset.from_dict(columns)
        monkeypatch.setattr(datasets, "load_dataset", lambda name, data=train: {"train": data})
        fingerprint, rows = hub_stories("some/stories")
        assert fingerprint == train._fingerprint
        assert list(rows()) == [(Story(FIVE[:4], FIVE[4], "s1"), "")]
    broken = train.remove_columns("InputSentence3")
    monkeypatch.setattr(datasets, "load_dataset", lambda name: {"train": broken})
    with pytest.raises(UserError, match=r"^hf:some/stories, row 1: inputsentence3 missing"):
        list(hub_stories("some/stories")[1]())
