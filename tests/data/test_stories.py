"""Opening stories: rows hold what was written, the world's stories come with choices and a judge, errors with names."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from textgan.data import DataConfig, cards, stories
from textgan.data.splits import sentence_hashes
from textgan.data.stories import (
    Cloze,
    Story,
    encode_contexts,
    encode_endings,
    open_cloze,
    open_stories,
)
from textgan.errors import UserError

NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def story(i: int) -> Story:
    """Different stories without a common 5-gram."""
    a, b, c = (NUMBERS[int(digit)] for digit in f"{i:03}")
    sentences = (f"{a} {b} {c} left.", f"{b} {a} {c} a came, {a}", f"Then {c} {b} {a}!", f"{c} {a} {b} saw {b} {c}.")
    return Story(sentences, f"{a} {c} {b} stayed {a} {b} {c}.", f"n{i}")


def write(path: Path, told: Sequence[Story]) -> str:
    lines = (json.dumps({"id": s.name, "sentences": [*s.sentences, s.ending]}) for s in told)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


@pytest.fixture
def numbered(tmp_path: Path) -> str:
    return write(tmp_path / "numbered.jsonl", [story(i) for i in range(300)])


def test_the_splits_hold_every_story_once(numbered: str) -> None:
    corpus = open_stories(numbered)
    told = [*corpus.train.stories(), *corpus.valid.stories(), *corpus.test.stories()]
    assert corpus.name == "numbered"
    assert corpus.report.leaks == 0
    assert sorted(told, key=lambda s: int(s.name[1:])) == [story(i) for i in range(300)]
    assert (len(corpus.train), len(corpus.valid), len(corpus.test)) == (
        corpus.report.train,
        corpus.report.valid,
        corpus.report.test,
    )
    assert corpus.check is None
    assert corpus.cloze == []


def test_rows_hold_the_words_the_end_mark_and_padding(numbered: str) -> None:
    corpus = open_stories(numbered)
    spec, words = corpus.spec, corpus.tokenizer.words
    assert (spec.sentences, spec.sentence_length, spec.length) == (4, 7, 9)
    assert (spec.train_size, spec.vocab_size) == (len(corpus.train), corpus.tokenizer.size)
    batch = corpus.train.batch()
    for context, ending, told in zip(
        batch.context.tolist(), batch.ending.tolist(), corpus.train.stories(), strict=True
    ):
        assert [corpus.tokenizer.strings(row) for row in context] == [words(text) for text in told.sentences]
        assert [row.count(spec.pad) for row in context] == [7 - len(words(text)) for text in told.sentences]
        assert spec.eos not in {i for row in context for i in row}
        assert ending == [*corpus.tokenizer.encode_batch([told.ending])[0], spec.eos]


def test_parts_of_a_split_are_rows_of_the_whole(numbered: str) -> None:
    train = open_stories(numbered).train
    whole, places = train.batch(), torch.tensor([5, 0, 5, 17])
    taken, first = train.take(places), train.batch(3)
    assert torch.equal(taken.context, whole.context[places])
    assert torch.equal(taken.ending, whole.ending[places])
    assert torch.equal(first.context, whole.context[:3])
    assert train.stories(3) == train.stories()[:3]
    assert train.take(torch.tensor([], dtype=torch.int64)).context.shape == (0, 4, 7)


def test_hashes_are_those_of_the_distinct_endings(tmp_path: Path) -> None:
    told = [Story(story(i).sentences, story(i % 50).ending) for i in range(300)]
    train = open_stories(write(tmp_path / "few.jsonl", told)).train
    hashes = train.hashes()
    assert len(hashes) == len({s.ending for s in train.stories()}) < len(train)
    assert np.array_equal(hashes, np.unique(sentence_hashes(train.batch().ending)))


def test_encoding_gives_the_rows_of_the_split(numbered: str) -> None:
    corpus = open_stories(numbered, DataConfig(max_length=4))
    told, batch = corpus.valid.stories(), corpus.valid.batch()
    assert torch.equal(encode_contexts(corpus.tokenizer, corpus.spec, [s.sentences for s in told]), batch.context)
    assert torch.equal(encode_endings(corpus.tokenizer, corpus.spec, [s.ending for s in told]), batch.ending)
    assert corpus.spec.length == 5
    assert corpus.spec.sentence_length == 4
    assert encode_contexts(corpus.tokenizer, corpus.spec, []).shape == (0, 4, 4)
    assert encode_endings(corpus.tokenizer, corpus.spec, [""]).tolist() == [[2, 0, 0, 0, 0]]


def test_contexts_that_are_none_are_refused_by_their_number(numbered: str) -> None:
    corpus = open_stories(numbered)
    good = story(0).sentences
    with pytest.raises(UserError, match=r"^context 2: 4 sentences are accepted, found 3$"):
        encode_contexts(corpus.tokenizer, corpus.spec, [good, good[:3]])
    with pytest.raises(UserError, match=r"^context 2: sentence 3 is empty$"):
        encode_contexts(corpus.tokenizer, corpus.spec, [good, (*good[:2], " ", "x")])


def test_a_second_opening_reads_the_cache(numbered: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_stories(numbered)
    monkeypatch.setattr(stories, "prepare_stories", lambda *_: pytest.fail("prepared again"))
    again = open_stories(numbered)
    assert again.report == first.report
    assert torch.equal(again.train.batch().context, first.train.batch().context)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("bbe", r"corpus 'bbe' has no stories; .*rocstories.*, FILE and hf:NAME are accepted"),
        ("rocstorys", "unknown corpus 'rocstorys': did you mean 'rocstories'"),
        ("rocstories", "corpus 'rocstories' needs your file: rocstories:PATH"),
        ("rocstories:no.csv", "no.csv does not exist"),
        ("no/where.csv", "no/where.csv does not exist"),
    ],
)
def test_a_spec_that_names_no_stories_is_refused(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_stories(spec)
    assert "\n" not in str(caught.value)


def test_a_file_with_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.doc").write_text("x")
    with pytest.raises(UserError, match=r"unknown ending '.doc'; .txt, .jsonl, .csv, .tsv are accepted"):
        open_stories(str(tmp_path / "a.doc"))


@dataclass(frozen=True)
class FakeWrong:
    text: str
    reason: str = "other"


@dataclass(frozen=True)
class FakeStory:
    sentences: tuple[str, ...]
    ending: str
    wrong: tuple[FakeWrong, ...]


@dataclass(frozen=True)
class FakeVerdict:
    consistent: bool
    reason: str


class FakeWorld:
    """Stories with the face of `textgan.data.story_world`."""

    def __init__(self, rules: Mapping[str, Any]) -> None:
        self.word = rules["word"]

    def told(self, n: int, seed: int) -> list[FakeStory]:
        told = [story((i + seed) % 1000) for i in range(n)]
        return [
            FakeStory(s.sentences, s.ending, (FakeWrong(f"{self.word} 1"), FakeWrong(f"{self.word} 2"))) for s in told
        ]

    stories = told

    def tell(self, n: int, seed: int) -> Iterator[FakeStory]:
        return iter(self.stories(n, seed))

    def check(self, sentences: Sequence[str], ending: str) -> FakeVerdict:
        right = not ending.startswith(self.word)
        return FakeVerdict(right, "" if right else "other")


@pytest.fixture
def fake_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The spec of a card whose stories the fake tells."""
    module = ModuleType("textgan.data.story_world")
    module.StoryWorld = FakeWorld
    monkeypatch.setitem(sys.modules, "textgan.data.story_world", module)
    card = {"name": "fake", "title": "t", "about": "a", "language": "en", "licence": "MIT", "source": {}}
    card["read"] = {"kind": "story_world", "size": 200, "seed": 100, "rules": {"word": "wrong"}}
    card["defaults"] = {"lower": True, "max_length": 20}
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "fake.yaml").write_text(yaml.safe_dump(card))
    monkeypatch.setattr(cards, "card_folder", lambda: tmp_path / "cards")
    return "fake"


def test_the_world_has_a_judge_and_a_choice_for_every_test_story(fake_world: str) -> None:
    corpus = open_stories(fake_world)
    assert corpus.report.stories == 200
    assert corpus.config.lower
    assert [(c.sentences, c.endings[c.answer or 0]) for c in corpus.cloze] == [
        (s.sentences, s.ending) for s in corpus.test.stories()
    ]
    wrong = [c.endings[1 - (c.answer or 0)] for c in corpus.cloze]
    assert set(wrong) == {"wrong 1", "wrong 2"}
    assert {c.answer for c in corpus.cloze} == {0, 1}
    assert corpus.check is not None
    for c in corpus.cloze:
        assert [corpus.check(c.sentences, e).consistent for e in c.endings] == [c.answer == 0, c.answer == 1]
    assert open_stories(fake_world).cloze == corpus.cloze


def test_another_telling_of_the_same_card_is_another_corpus(fake_world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_stories(fake_world).train.stories(1)
    monkeypatch.setattr(FakeWorld, "stories", lambda self, n, seed: FakeWorld.told(self, n, seed + 1))
    assert open_stories(fake_world).train.stories(1) != before


def test_text_games_read_the_world_sentence_by_sentence(fake_world: str) -> None:
    texts = [row.text for row in cards.open_source(fake_world).rows()]
    assert texts == [text for i in range(100, 300) for text in (*story(i).sentences, story(i).ending)]


def test_a_cloze_file_is_opened_by_its_path(tmp_path: Path) -> None:
    names = [*(f"InputSentence{i}" for i in range(1, 5)), "RandomFifthSentenceQuiz1", "RandomFifthSentenceQuiz2"]
    told = story(7)
    record = dict(zip(names, [*told.sentences, told.ending, "No."], strict=True))
    path = tmp_path / "cloze.jsonl"
    path.write_text(json.dumps(record) + "\n" + json.dumps({**record, "AnswerRightEnding": 1}) + "\n")
    unknown, known = open_cloze(path)
    assert asdict(unknown) == asdict(Cloze(told.sentences, (told.ending, "No."), None))
    assert known.answer == 0
