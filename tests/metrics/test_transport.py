"""The Wasserstein distance of samples, against closed forms and brute force."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from textgan.metrics.spread import spread
from textgan.metrics.transport import wasserstein_distance


def test_it_is_the_best_of_all_matchings() -> None:
    numbers = np.random.default_rng(0)
    x, y = numbers.normal(size=(6, 3)), numbers.normal(size=(6, 3))
    best = min(np.linalg.norm(x - y[list(order)], axis=1).mean() for order in permutations(range(6)))
    assert wasserstein_distance(x, y, "e").value == pytest.approx(best)


def test_in_one_dimension_it_matches_in_order() -> None:
    numbers = np.random.default_rng(1)
    x, y = numbers.normal(size=(200, 1)), numbers.exponential(size=(200, 1))
    assert wasserstein_distance(x, y, "e").value == pytest.approx(np.abs(np.sort(x, 0) - np.sort(y, 0)).mean())


def test_a_shift_costs_its_length() -> None:
    x = np.random.default_rng(2).normal(size=(50, 4))
    shift = np.array([3.0, 0, 4, 0])
    assert wasserstein_distance(x, x + shift, "e").value == pytest.approx(5)


def test_of_unequal_sides_the_first_ones_are_taken_and_said() -> None:
    x = np.arange(5.0)[:, None]
    found = wasserstein_distance(x, np.array([[0.0], [1.0]]), "e", limit=3)
    assert found.value == pytest.approx(0, abs=1e-9)
    assert found.signature == "wasserstein-distance|samples:2|references:2|encoder:e|version:1"


def test_spread_is_the_root_of_the_summed_variances() -> None:
    x = np.random.default_rng(3).normal(size=(40, 5)) * [1, 2, 3, 4, 5]
    assert spread(x, "e").value == pytest.approx(np.sqrt(np.trace(np.cov(x.T))))
    assert spread(np.ones((4, 3)), "e").value == 0
