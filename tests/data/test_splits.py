"""Splits: rows padded right, taken in order, hashed by content alone."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from textgan.data import splits
from textgan.data.splits import (
    ArrowWriter,
    Split,
    are_among,
    joined,
    read_arrow,
    record_batches,
    sentence_hashes,
    sorted_distinct,
    with_end,
)
from textgan.data.tokenizer import EOS, Tokenizer

WORDS = [f"w{i}" for i in range(30)]


@pytest.fixture
def rows() -> list[list[int]]:
    rng = random.Random(0)
    return [[rng.randrange(4, 34) for _ in range(rng.randrange(1, 7))] for _ in range(95)]


@pytest.fixture
def split(rows: list[list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Split:
    """In batches of ten, so that rows are taken across batches."""
    monkeypatch.setattr(splits, "CHUNK", 10)
    with ArrowWriter(tmp_path / "x.arrow") as writer:
        for i, row in enumerate(rows):
            writer.add([*row, EOS], str(i % 2))
    return Split(tmp_path / "x.arrow", 7, Tokenizer.train("word", [" ".join(WORDS)]))


def padded(row: list[int]) -> list[int]:
    return [*row, EOS, *[0] * (6 - len(row))]


def test_rows_are_words_end_mark_and_padding(split: Split, rows: list[list[int]]) -> None:
    assert len(split) == len(rows)
    assert split.tokens().tolist() == [padded(row) for row in rows]
    assert split.tokens(13).tolist() == [padded(row) for row in rows[:13]]
    assert split.tokens(1000).shape == (95, 7)


def test_rows_are_taken_in_the_order_asked_for(split: Split, rows: list[list[int]]) -> None:
    indices = torch.tensor([94, 0, 10, 9, 10, 57])
    taken = split.take(indices)
    assert taken.dtype == torch.int64
    assert taken.tolist() == [padded(rows[i]) for i in indices.tolist()]


def test_sentences_are_token_strings_and_labels_are_kept(split: Split, rows: list[list[int]]) -> None:
    assert split.sentences(20) == [[sorted(WORDS)[i - 4] for i in row] for row in rows[:20]]
    assert split.labels(3) == ["0", "1", "0"]
    assert split.label_counts() == {"0": 48, "1": 47}
    assert split.label_places(["1", "0"]).tolist() == [1, 0] * 47 + [1]


def test_hashes_are_sorted_and_distinct(split: Split, rows: list[list[int]]) -> None:
    hashes = split.hashes()
    assert len(hashes) == len({tuple(row) for row in rows})
    assert (np.diff(hashes) > 0).all()
    assert np.isin(sentence_hashes(split.tokens()), hashes).all()


def test_hashes_do_not_depend_on_padding() -> None:
    short, long = with_end([[5, 6], [7]], 3), with_end([[5, 6], [7]], 9)
    assert (sentence_hashes(short) == sentence_hashes(long)).all()


def test_hashes_are_the_same_everywhere() -> None:
    def by_hand(row: list[int]) -> int:
        h, mask = 0, 2**64 - 1
        for token in row:
            h = (h * 0x9E3779B97F4A7C15 + token + 1) & mask
            h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & mask
            h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & mask
            h ^= h >> 31
        return h - 2**64 if h >= 2**63 else h

    assert sentence_hashes(with_end([[5, 6, 900], []], 4)).tolist() == [by_hand([5, 6, 900, 2]), by_hand([2])]


def test_different_sentences_have_different_hashes() -> None:
    every = torch.cartesian_prod(*[torch.arange(1, 21)] * 4)
    assert len(np.unique(sentence_hashes(every))) == len(every)


def test_where_padding_is_a_word_it_counts() -> None:
    rows = torch.tensor([[1, 0], [1, 1], [0, 1]])
    assert len(set(sentence_hashes(rows, pad=-1).tolist())) == 3


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 500])
def test_sorted_distinct_values_are_found_in_place(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "CHUNK", 10)
    for spread in (1, 3, 40, 10**6):
        values = np.random.default_rng(size).integers(-spread, spread, size)
        expected = np.unique(values)
        found = sorted_distinct(values)
        assert found.tolist() == expected.tolist()
        assert size == 0 or np.shares_memory(found, values)


def test_values_are_looked_up_among_sorted_ones() -> None:
    values = np.array([5, -3, 7, 8, 2, 5])
    assert are_among(values, np.array([-3, 5, 7])).tolist() == [True, True, True, False, False, True]
    assert not are_among(values, np.array([], dtype=np.int64)).any()


def test_parts_are_joined_without_a_second_copy() -> None:
    parts = [np.array([1, 2]), np.array([], dtype=np.int64), np.array([3])]
    whole = joined(iter(parts), 3, np.int32)
    assert (whole.tolist(), whole.dtype) == ([1, 2, 3], np.int32)


def test_batches_come_after_the_records_that_were_added_before(tmp_path: Path) -> None:
    with ArrowWriter(tmp_path / "one.arrow") as writer:
        writer.add([4, EOS], "a")
    with ArrowWriter(tmp_path / "two.arrow") as writer:
        writer.add([5, EOS], "b")
        for batch in record_batches(tmp_path / "one.arrow"):
            writer.add_batch(batch)
        writer.add([6, EOS], "c")
    read = [row for batch in read_arrow(tmp_path / "two.arrow") for row in zip(*batch.values(), strict=True)]
    assert read == [([5, EOS], "b"), ([4, EOS], "a"), ([6, EOS], "c")]
