"""Preparing stories: honest splits, a vocabulary of the training stories alone, long sentences, counts, limits."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from textgan.data import DataConfig
from textgan.data.stories import Story, StoryCorpus, open_stories
from textgan.data.story_leaks import plain_context
from textgan.data.tokenizer import UNK
from textgan.errors import UserError

LETTERS = "abcdefghij"


def story(i: int, ending: str = "") -> Story:
    """Different stories; each has a word of its own, wI."""
    a, b, c = (LETTERS[int(digit)] for digit in f"{i:03}")
    sentences = (f"{a} {b} {c} W{i} left.", f"{b} {a} {c} x {a}.", f"y {c} {b} {a} {b}.", f"{c} {a} {b} z.")
    return Story(sentences, ending or f"{a} {c} {b} q {b} {c}.")


def write(path: Path, told: Sequence[Story]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([f"sentence{i}" for i in range(1, 6)])
        writer.writerows([*s.sentences, s.ending] for s in told)
    return str(path)


def contexts(corpus: StoryCorpus, split: str) -> set[str]:
    return {plain_context(s) for s in getattr(corpus, split).stories()}


def test_equal_contexts_share_a_split(tmp_path: Path) -> None:
    told = [story(i) for i in range(300)]
    shouted = [
        Story(tuple(t.upper().replace(".", " !") for t in s.sentences), f"An other {i}.") for i, s in enumerate(told)
    ]
    corpus = open_stories(write(tmp_path / "a.csv", told + shouted))
    report = corpus.report
    train, valid, test = (contexts(corpus, split) for split in ("train", "valid", "test"))
    assert train | valid | test == {plain_context(s) for s in told}
    assert len(train) + len(valid) + len(test) == 300
    assert len(corpus.train) == 2 * len(train)
    assert report.held_out_duplicates == len(valid) + len(test) == len(corpus.valid) + len(corpus.test)
    assert report.leaks == report.train_duplicates == 0


def test_a_held_out_file_is_cleaned_of_the_training_stories(tmp_path: Path) -> None:
    training = [story(i) for i in range(100)]
    same = [story(0, "Another."), Story(tuple(map(str.upper, story(1).sentences)), "What?")]
    near = [Story((*story(2).sentences[:3], "This is new."), "So is this.")]
    fresh = [story(i) for i in range(500, 560)]
    known = Story(story(600).sentences, story(5).ending)
    first = write(tmp_path / "a.csv", [*training, *training[:3]])
    second = write(tmp_path / "b.csv", [*same, *near, *fresh, *fresh[:4], known])
    corpus = open_stories(first, DataConfig(held_out=second))
    report = corpus.report
    assert corpus.train.stories() == [*training, *training[:3]]
    assert contexts(corpus, "valid") | contexts(corpus, "test") == {plain_context(s) for s in [*fresh, known]}
    assert (report.stories, report.train_duplicates) == (103 + 68, 3)
    assert (report.same_context, report.shared_sentences, report.near_duplicates) == (2, 1, 0)
    assert (report.held_out_duplicates, report.known_endings, report.leaks) == (4, 1, 3)
    assert report.valid + report.test == 61
    assert min(report.valid, report.test) > 15


def test_the_tokenizer_learns_from_training_stories_alone(tmp_path: Path) -> None:
    corpus = open_stories(write(tmp_path / "a.csv", [story(i) for i in range(300)]))
    batch, held_out = corpus.train.batch(), [corpus.valid.batch(), corpus.test.batch()]
    assert not (batch.context == UNK).any()
    assert not (batch.ending == UNK).any()
    for part in held_out:
        assert (part.context == UNK).sum(dim=(1, 2)).tolist() == [1] * len(part.context)
    tokens = sum((part.context > UNK).sum() + (part.ending > UNK).sum() for part in held_out).item()
    stories = corpus.report.valid + corpus.report.test
    assert corpus.report.train_unknown == 0
    assert corpus.report.held_out_unknown == pytest.approx(stories / (tokens + stories))


def test_long_sentences_are_shortened_or_their_stories_dropped(tmp_path: Path) -> None:
    told = [
        story(i, "one two three four five six seven eight nine only") if i % 3 == 0 else story(i) for i in range(300)
    ]
    path = write(tmp_path / "a.csv", told)
    shortened = open_stories(path, DataConfig(max_length=8))
    dropped = open_stories(path, DataConfig(max_length=8, too_long="drop"))
    assert shortened.report.too_long == dropped.report.too_long == 100
    assert shortened.report.train + shortened.report.valid + shortened.report.test == 300
    assert dropped.report.train + dropped.report.valid + dropped.report.test == 200
    assert shortened.tokenizer.encode_batch(["eight", "nine"])[0] != [UNK]
    assert shortened.tokenizer.encode_batch(["nine"]) == [[UNK]]
    assert dropped.tokenizer.encode_batch(["eight"]) == [[UNK]]
    assert (shortened.spec.length, dropped.spec.length, dropped.spec.sentence_length) == (9, 8, 6)
    endings = [shortened.tokenizer.decode(row) for row in shortened.train.batch().ending.tolist()]
    assert "one two three four five six seven eight" in endings


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_characters_and_pieces_hold_the_text(tmp_path: Path, kind: str) -> None:
    corpus = open_stories(
        write(tmp_path / "a.csv", [story(i) for i in range(200)]), DataConfig(tokenizer=kind, max_length=60)
    )
    told, batch = corpus.train.stories(), corpus.train.batch()
    assert [corpus.tokenizer.decode(row) for row in batch.ending.tolist()] == [s.ending for s in told]
    assert [corpus.tokenizer.decode(row) for row in batch.context[:, 2].tolist()] == [s.sentences[2] for s in told]


def test_the_report_counts_and_reads_as_it_should(tmp_path: Path) -> None:
    corpus = open_stories(write(tmp_path / "a.csv", [story(i) for i in range(300)]), DataConfig(limit=200))
    report, batch = corpus.report, corpus.train.batch()
    assert report.stories == report.train + report.valid + report.test == 200
    assert report.mean_sentence == pytest.approx((batch.context > 0).sum().item() / len(batch.context) / 4)
    assert report.mean_ending == pytest.approx((batch.ending > 0).sum().item() / len(batch.ending) - 1)
    assert (report.longest_sentence, report.longest_ending) == (6, 7)
    assert json.loads(json.dumps(report.as_dict())) == asdict(report)
    assert report.lines()[1] == "200 stories read; 0 with a sentence longer than 32 tokens, shortened"
    assert report.lines()[-1] == "5.8 tokens a sentence, at most 6; 7.0 an ending, at most 7"


def test_too_few_stories_say_so_with_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [story(1)] * 3)
    with pytest.raises(UserError, match=r"corpus 'a': no story for split 'train|valid': of 3 read there are") as caught:
        open_stories(path)
    assert "\n" not in str(caught.value)
    held_out = write(tmp_path / "b.csv", [story(1)])
    with pytest.raises(UserError, match=r"left out as not new: 0 duplicates, 1 that repeat training stories"):
        open_stories(path, DataConfig(held_out=held_out))


def prompts(path: Path, n: int = 300) -> str:
    """Prompts of six words and answers of three, all different; W0 to W9 come at the end of each in turn."""
    with path.open("w", encoding="utf-8") as file:
        for i in range(n):
            a, b, c = (LETTERS[int(digit)] for digit in f"{i:03}")
            pair = {"prompt": f"{a} {b} {c}\n{b} {a} W{i % 10}", "answer": f"{a} {c} V{i % 10}"}
            file.write(json.dumps(pair) + "\n")
    return str(path)


def test_prompts_with_answers_are_stories_of_one_sentence(tmp_path: Path) -> None:
    corpus = open_stories(prompts(tmp_path / "a.jsonl"), DataConfig(limit=200))
    spec, report = corpus.spec, corpus.report
    assert (spec.sentences, spec.sentence_length, spec.length) == (1, 6, 4)
    assert report.sentences == 1
    assert report.train + report.valid + report.test == 200
    batch, told = corpus.train.batch(), corpus.train.stories()
    assert batch.context.shape == (len(told), 1, 6)
    decode = corpus.tokenizer.decode
    assert [decode(row) for row in batch.context[:, 0].tolist()] == [" ".join(s.sentences[0].split()) for s in told]
    assert [decode(row) for row in batch.ending.tolist()] == [s.ending for s in told]
    assert report.lines()[1] == (
        "200 prompts with answers read; 0 with a prompt longer than 32 or an answer longer than 32 tokens, shortened"
    )
    assert report.lines()[-1] == "6.0 tokens a prompt, at most 6; 3.0 an answer, at most 3"


def test_prompts_have_a_limit_of_their_own(tmp_path: Path) -> None:
    path = prompts(tmp_path / "a.jsonl")
    corpus = open_stories(path, DataConfig(max_length=2, max_prompt=5))
    assert (corpus.spec.sentence_length, corpus.spec.length) == (5, 3)
    assert corpus.report.too_long == 300
    assert corpus.tokenizer.encode_batch(["W1", "V1"]) == [[UNK], [UNK]]
    whole = open_stories(path, DataConfig(max_length=2, max_prompt=6, limit=250))
    assert whole.tokenizer.encode_batch(["W1"]) != [[UNK]]
    with pytest.raises(UserError, match=r"300 prompts|of 300 read .* 300 longer than max_length"):
        open_stories(path, DataConfig(max_prompt=5, too_long="drop"))


def test_equal_prompts_share_a_split_and_are_held_out_once(tmp_path: Path) -> None:
    first = Path(prompts(tmp_path / "a.jsonl")).read_text()
    (tmp_path / "b.jsonl").write_text(first + first.replace('"answer": "', '"answer": "X '))
    report = open_stories(str(tmp_path / "b.jsonl")).report
    assert report.train % 2 == 0
    assert report.train // 2 + report.valid + report.test == 300
    assert report.held_out_duplicates == report.valid + report.test


def test_stories_and_prompts_do_not_mix_and_options_of_prompts_are_for_prompts(tmp_path: Path) -> None:
    path = Path(prompts(tmp_path / "a.jsonl", 50))
    sentences = [*story(1).sentences, story(1).ending]
    path.write_text(path.read_text() + json.dumps({"sentences": sentences, "id": "S"}) + "\n")
    message = (
        r"(story 'S': 4 sentences before its ending, where others have 1|1 sentences .* others have 4): either stories"
    )
    with pytest.raises(UserError, match=message):
        open_stories(str(path))
    stories_file = write(tmp_path / "b.csv", [story(i) for i in range(50)])
    with pytest.raises(UserError, match="max_prompt is 9; it is for prompts with answers, not for stories"):
        open_stories(stories_file, DataConfig(max_prompt=9))
