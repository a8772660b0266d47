"""Labelled corpora: every sentence keeps its category, in whatever form it came; what lacks categories is refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from textgan.data import DataConfig, LabelledCorpus, LabelledSpec, open_corpus, open_labelled
from textgan.data.labelled import in_turn
from textgan.data.readers import Row
from textgan.errors import UserError

NAMES = ("train", "valid", "test")
LABELS = ["cat", "dog", "owl"]
TEXTS = {label: [f"the {label} says {a} and {b} ." for a in range(10) for b in range(12)] for label in LABELS}
"""120 sentences of each."""
SORTED = [(text, label) for label in LABELS for text in TEXTS[label]]


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "animals.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in SORTED))
    return str(path)


def pairs(corpus: LabelledCorpus) -> dict[str, list[tuple[str, str]]]:
    found = {}
    for name in NAMES:
        split = getattr(corpus, name)
        labels = [corpus.spec.categories[k] for k in split.categories().tolist()]
        found[name] = list(zip(map(" ".join, split.sentences()), labels, strict=True))
    return found


def test_every_sentence_keeps_its_category(table: str) -> None:
    corpus = open_labelled(table)
    assert corpus.spec.categories == ("cat", "dog", "owl")
    found = pairs(corpus)
    assert sorted(pair for split in found.values() for pair in split) == sorted(SORTED)


def test_a_batch_is_the_sentences_at_the_places_asked_for(table: str) -> None:
    split = open_labelled(table).train
    places = torch.tensor([7, 0, 100, 7])
    batch = split.take(places)
    assert (batch.tokens.dtype, batch.category.dtype) == (torch.int64, torch.int64)
    assert torch.equal(batch.tokens, split.tokens()[places])
    assert torch.equal(batch.category, split.categories()[places])
    assert torch.equal(split.tokens(9), split.tokens()[:9])
    assert torch.equal(split.categories(9), split.categories()[:9])


def test_the_first_sentences_of_a_sorted_file_are_of_all_categories(table: str) -> None:
    corpus = open_labelled(table)
    assert min(torch.bincount(corpus.train.categories(60), minlength=3)) > 10
    assert pairs(corpus) == pairs(open_labelled(table))


def test_the_sentences_are_those_of_the_text_corpus(table: str) -> None:
    labelled, text = open_labelled(table), open_corpus(table)
    assert asdict(labelled.spec) == asdict(text.spec) | {"categories": ("cat", "dog", "owl")}
    for name in NAMES:
        ours, theirs = getattr(labelled, name), getattr(text, name)
        assert len(ours) == len(theirs)
        assert sorted(ours.tokens().tolist()) == sorted(theirs.tokens().tolist())
        assert (ours.hashes() == theirs.hashes()).all()


def test_a_folder_an_unnamed_table_and_json_lines_say_the_same(table: str, tmp_path: Path) -> None:
    folder = tmp_path / "animals"
    folder.mkdir()
    for label, texts in TEXTS.items():
        (folder / f"{label}.txt").write_text("\n".join(texts) + "\n")
    (folder / "notes.md").write_text("not read")
    tsv = tmp_path / "animals.tsv"
    tsv.write_text("".join(f"{label}\t{text}\n" for text, label in SORTED))
    lines = tmp_path / "animals.jsonl"
    lines.write_text("".join(json.dumps({"said": text, "by": label}) + "\n" for text, label in SORTED))
    expected = pairs(open_labelled(table))
    opened = {
        "folder": open_labelled(f"{folder}/"),
        "card": open_labelled(f"yelp:{folder}"),
        "unnamed": open_labelled(str(tsv), field="2", label_field="1"),
        "only other column": open_labelled(str(tsv), label_field="1"),
        "json": open_labelled(str(lines), label_field="by"),
    }
    for corpus in opened.values():
        assert pairs(corpus) == expected
    assert opened["folder"].name == "animals"


def test_the_report_counts_each_category(table: str) -> None:
    report = open_labelled(table).report
    found = pairs(open_labelled(table))
    for label in LABELS:
        assert list(report.categories[label]) == [sum(k == label for _, k in found[name]) for name in NAMES]
    counts = "; ".join(f"{label} {' / '.join(map(str, report.categories[label]))}" for label in LABELS)
    assert report.lines()[-1] == f"3 categories (to train / validate / test): {counts}"
    assert open_corpus(table).report.lines() == report.lines()[:-1]
    assert json.loads(json.dumps(report.as_dict())) == report.as_dict()


def test_a_limit_takes_as_many_of_each_category(table: str) -> None:
    corpus = open_labelled(table, DataConfig(limit=150))
    found = pairs(corpus)
    assert Counter(label for split in found.values() for _, label in split) == dict.fromkeys(LABELS, 50)
    assert {text for split in found.values() for text, _ in split} == {t for label in LABELS for t in TEXTS[label][:50]}


def test_labels_are_taken_in_turn_for_as_long_as_they_last() -> None:
    def rows() -> Iterator[Row]:
        return iter([Row("1", "a"), Row("2", "a"), Row("3", "b"), Row("4", "a"), Row("5", "a")])

    assert [row.text for row in in_turn(rows, 4)] == ["1", "3", "2", "4"]
    assert [row.text for row in in_turn(rows, 9)] == ["1", "3", "2", "4", "5"]


def test_a_sentence_of_two_categories_does_not_leak(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    texts = ["well " + " ".join(f"{i:03}") for i in range(200)]
    rows = [f"{text},{'ab'[(i + j) % 2]}\n" for i, text in enumerate(texts) for j in range(2)]
    path.write_text("text,label\n" + "".join(rows))
    found = pairs(open_labelled(str(path)))
    distinct = {name: {text for text, _ in found[name]} for name in NAMES}
    assert sum(map(len, distinct.values())) == len(set.union(*distinct.values())) == 200
    assert len(found["train"]) == 2 * len(distinct["train"])
    firsts = dict.fromkeys(f"{text},{'ab'[i % 2]}" for i, text in enumerate(texts))
    assert all(f"{text},{label}" in firsts for name in ("valid", "test") for text, label in found[name])


def test_held_out_sentences_have_the_categories_of_the_training_sentences(table: str, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("text,label\n" + "".join(f"says {text},{label}\n" for text, label in SORTED[::3]))
    corpus = open_labelled(table, DataConfig(held_out=str(other)))
    assert len(corpus.train) == 360
    assert sorted([*pairs(corpus)["valid"], *pairs(corpus)["test"]]) == sorted((f"says {t}", k) for t, k in SORTED[::3])
    other.write_text("text,label\n" + "".join(f"says {text},fox\n" for text, _ in SORTED[::3]))
    with pytest.raises(UserError, match=r"category 'cat' in split 'valid'.* found.* cat 120 / 0 / 0, .* fox 0 / \d+"):
        open_labelled(table, DataConfig(held_out=str(other)))


@pytest.mark.parametrize(
    ("header", "labels", "message"),
    [
        ("text,kind", ["a", "b"], r"has no labels: a table with a column label \(--label-field .*bbe, movie_reviews"),
        ("text,label", ["a", "a"], r"has one category; at least two are accepted; found, .*: a \d+ / \d+ / \d+$"),
        ("text,label", ["a", "", " "], r"400 sentences have no label; every sentence must have one; found, .*no label"),
        ("text,label", [f"k{i}" for i in range(200)], r"no sentence of category 'k0' .* found.*k106 .*, \.\.\.$"),
    ],
)
def test_a_corpus_without_categories_is_refused(tmp_path: Path, header: str, labels: list[str], message: str) -> None:
    path = tmp_path / "a.csv"
    rows = [f"well {i} {k},{label}\n" for i in range(600 // len(labels)) for k, label in enumerate(labels)]
    path.write_text(header + "\n" + "".join(rows))
    with pytest.raises(UserError, match=message) as caught:
        open_labelled(str(path), field="text")
    assert "\n" not in str(caught.value)


def test_a_label_field_that_is_not_there_is_refused_with_those_that_are(table: str) -> None:
    with pytest.raises(UserError, match=r"has no field 'kind'; it has: text, label$"):
        open_labelled(table, label_field="kind")


def test_the_embedded_corpus_opens_with_a_few_sentences_of_each_category() -> None:
    corpus = open_labelled("bbe", DataConfig(limit=600))
    assert corpus.spec.categories == ("gospel", "history", "poetry")
    assert isinstance(corpus.spec, LabelledSpec)
    assert [sum(counts) for counts in corpus.report.categories.values()] == pytest.approx([200] * 3, abs=8)
    (first,) = [label for text, label in pairs(corpus)["train"] if text.startswith("at the first god made")]
    assert first == "history"
