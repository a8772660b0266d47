"""Growth with size: the exponent of known powers, sentences that are always the same, tables."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from textgan.scaling import WORDS, Captions, exponent, markdown_table, write_results


@pytest.mark.parametrize("power", [0.0, 1.0, 1.5, 2.0])
def test_the_exponent_of_a_power_is_found(power: float) -> None:
    sizes = [10, 100, 1000, 5000]
    assert exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_the_exponent_is_the_slope_of_least_squares() -> None:
    assert exponent([1, 10, 100], [1, 10, 1000]) == pytest.approx(1.5)


def test_sentences_are_the_same_for_a_seed_and_go_on() -> None:
    captions = Captions(0)
    first, second = captions.draw(50), captions.draw(50)
    assert Captions(0).draw(50) == first != second
    assert Captions(1).draw(50) != first


def test_sentences_are_a_chain_of_frequent_words() -> None:
    sentences = Captions(0).draw(3000)
    assert {words[0] for words in sentences} <= {f"word{i}" for i in range(20)}
    assert sum(map(len, sentences)) / len(sentences) == pytest.approx(10.5, abs=0.1)
    followers: dict[str, set[str]] = {}
    for words in sentences:
        for a, b in pairwise(words):
            followers.setdefault(a, set()).add(b)
    assert max(map(len, followers.values())) <= 120
    counts = Counter(word for words in sentences for word in words)
    assert sum(counts[f"word{i}"] for i in range(100)) > 10 * sum(counts[f"word{i}"] for i in range(WORDS - 100, WORDS))


def test_a_table_has_a_line_a_row() -> None:
    rows = [{"n": "1", "seconds": "2.0"}, {"n": "10", "seconds": ""}]
    assert markdown_table(rows) == "| n | seconds |\n| ---: | ---: |\n| 1 | 2.0 |\n| 10 |  |\n"


def test_results_are_two_files_beside_each_other(tmp_path: Path) -> None:
    write_results(tmp_path / "new" / "a.b", {"rows": [1]}, "text\n")
    assert json.loads((tmp_path / "new" / "a.b.json").read_text()) == {"rows": [1]}
    assert (tmp_path / "new" / "a.b.md").read_text() == "text\n"
