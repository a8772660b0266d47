"""Groups without names against categories."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from textgan.errors import UserError
from textgan.metrics.matching import best_match


def test_names_do_not_matter():
    categories = np.array([0, 0, 1, 1, 2, 2, 2, 2])
    renamed = np.array([2, 0, 1])[categories]
    match = best_match(renamed, categories, 3, 3, "test")
    assert match.accuracy.value == 1
    assert match.category_of == (1, 2, 0)
    assert match.counts.tolist() == [[0, 2, 0], [0, 0, 4], [2, 0, 0]]


def test_no_other_match_is_better():
    rng = np.random.default_rng(0)
    for _ in range(20):
        groups, categories = rng.integers(0, 4, 30), rng.integers(0, 4, 30)
        best = max(np.mean(np.array(way)[groups] == categories) for way in permutations(range(4)))
        assert best_match(groups, categories, 4, 4, "test").accuracy.value == pytest.approx(best)


def test_two_groups_cannot_share_a_category():
    groups, categories = np.array([0, 0, 0, 1, 1]), np.zeros(5, dtype=int)
    assert best_match(groups, categories, 2, 2, "test").accuracy.value == pytest.approx(3 / 5)


def test_of_more_groups_than_categories_some_are_nothing():
    match = best_match(np.array([0, 1, 1, 2]), np.array([0, 1, 1, 1]), 3, 2, "test")
    assert match.accuracy.value == pytest.approx(3 / 4)
    assert match.category_of == (0, 1, None)


def test_the_signature_says_what_made_the_groups():
    signature = best_match(np.array([0]), np.array([0]), 2, 2, "codes").accuracy.signature
    assert signature == "best-match-accuracy|groups:2|samples:1|by:codes|version:1"


def test_nothing_is_refused():
    with pytest.raises(UserError, match="0 items"):
        best_match(np.array([], dtype=int), np.array([], dtype=int), 2, 2, "test")
