"""Distances in blocks against distances one by one."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from textgan.errors import UserError
from textgan.metrics import features
from textgan.metrics.features import checked, distance_blocks, radii, row_blocks, squared_distances


@pytest.fixture
def points():
    random = np.random.default_rng(0)
    return random.normal(size=(23, 5)) + 3, random.normal(size=(17, 5))


def test_squared_distances_are_scipys(points):
    assert squared_distances(*points) == pytest.approx(cdist(*points, "sqeuclidean"), abs=1e-12)


def test_what_differs_by_rounding_alone_has_distance_0():
    x = np.random.default_rng(0).normal(size=(4, 384))
    again = x.astype(np.float32).astype(np.float64)
    assert not np.array_equal(x, again)
    assert squared_distances(x, again).diagonal().tolist() == [0, 0, 0, 0]
    assert squared_distances(x, x * 1.001).diagonal().min() > 0


def test_blocks_together_are_the_whole_and_none_is_above_the_bound(points, monkeypatch):
    monkeypatch.setattr(features, "AT_ONCE", 3 * 17)
    x, y = points
    parts = list(distance_blocks(x, y))
    assert {len(block) for _, block in parts} == {3, 2}
    assert np.concatenate([block for _, block in parts]) == pytest.approx(squared_distances(x, y))
    assert [part for part, _ in parts] == list(row_blocks(23, 17))
    assert [(part.start, part.stop) for part in row_blocks(3, 1000)] == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize("at_once", [2**23, 40])
def test_radii_are_distances_to_the_kth_nearest_other(at_once, points, monkeypatch):
    monkeypatch.setattr(features, "AT_ONCE", at_once)
    x = points[0]
    for k in (1, 3, 22):
        expected = [sorted(((x[i] - x[j]) ** 2).sum() for j in range(23) if j != i)[k - 1] for i in range(23)]
        assert radii(x, k) == pytest.approx(expected)


def test_a_copy_is_the_nearest_other():
    assert radii(np.array([[1.0, 2.0], [1.0, 2.0], [5.0, 2.0]]), 1).tolist() == [0, 0, 16]


def test_features_that_cannot_be_compared_are_refused():
    x = np.ones((4, 3))
    with pytest.raises(UserError, match=r"the number of generated sentences \(=2\) for m must be at least 3"):
        checked(x, x[:2], 3, "m")
    with pytest.raises(UserError, match="3 dimensions, the generated ones 2"):
        checked(x, x[:, :2], 3, "m")
    with pytest.raises(UserError, match="the real features for m have values that are not finite"):
        checked(x * np.nan, x, 3, "m")
