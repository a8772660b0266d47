"""Embedding metrics against brute force, closed forms and SciPy."""

import math

import numpy as np
import pytest
from scipy.linalg import sqrtm

from textgan.errors import UserError
from textgan.metrics import embedding, features
from textgan.metrics.embedding import (
    density_coverage,
    embedding_scores,
    frechet_distance,
    kernel_mmd,
    nearest_neighbour_accuracy,
    precision_recall,
)

E = "minilm.384.0a1b2c3d"


def clouds(n=30, m=20, d=4, shift=0.5, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, d)), random.normal(size=(m, d)) * 1.3 + shift


def values(scores):
    return {name: score.value for name, score in scores.items()}


def distance(x, y):
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)))


class TestFrechet:
    def test_is_that_of_the_matrix_square_root(self):
        x, y = clouds(200, 150)
        s, t = np.cov(x.T), np.cov(y.T)
        expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s + t - 2 * sqrtm(s @ t).real)
        assert frechet_distance(x, y, E).value == pytest.approx(expected, rel=1e-9)

    def test_is_the_closed_form_where_covariances_commute(self):
        # columns of +-1 that are orthogonal: covariances are diagonal, by any scales
        base = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * math.sqrt(3 / 4)
        x, y = base * [1.0, 2.0] + [1, 0], base * [3.0, 0.5] + [0, 2]
        assert frechet_distance(x, y, E).value == pytest.approx(1 + 4 + (3 - 1) ** 2 + (2 - 0.5) ** 2)

    def test_of_fewer_sentences_than_dimensions_is_the_limit_of_regularised_covariances(self):
        x, y = clouds(6, 9, d=12)
        s, t = np.cov(x.T), np.cov(y.T)
        parts = [(s + e * np.eye(12), t + e * np.eye(12)) for e in (1e-7, 1e-9)]
        shift = ((x.mean(0) - y.mean(0)) ** 2).sum()
        wide, narrow = (shift + np.trace(a + b - 2 * sqrtm(a @ b).real) for a, b in parts)
        found = frechet_distance(x, y, E).value
        assert found == pytest.approx(narrow, rel=1e-3)
        assert abs(narrow - found) < abs(wide - found)

    def test_of_a_sample_with_itself_is_0(self):
        x, _ = clouds(5, d=9)
        assert frechet_distance(x, x, E).value == pytest.approx(0, abs=1e-12)

    def test_single_precision_does_for_input(self):
        x, y = clouds()
        single = frechet_distance(x.astype(np.float32), y.astype(np.float32), E).value
        assert single == pytest.approx(frechet_distance(x, y, E).value, rel=1e-5)


@pytest.mark.parametrize("at_once", [2**23, 64])
def test_mmd_is_the_double_loop(at_once, monkeypatch):
    monkeypatch.setattr(features, "AT_ONCE", at_once)
    x, y = clouds(13, 8)
    width = np.median([distance(x[i], x[j]) for i in range(13) for j in range(i)])
    kernels = {
        "rbf": lambda a, b: math.exp(-(distance(a, b) ** 2) / (2 * width**2)),
        "cubic": lambda a, b: (a @ b / 4 + 1) ** 3,
    }
    found = kernel_mmd(x, y, E)
    for name, k in kernels.items():
        of_x = sum(k(x[i], x[j]) for i in range(13) for j in range(13) if i != j) / (13 * 12)
        of_y = sum(k(y[i], y[j]) for i in range(8) for j in range(8) if i != j) / (8 * 7)
        both = sum(k(a, b) for a in x for b in y) / (13 * 8)
        assert found[f"mmd-{name}"].value == pytest.approx(of_x + of_y - 2 * both)
    assert f"mmd|kernel:rbf|width:{width:.6g}|estimate:unbiased|samples:8|" in found["mmd-rbf"].signature


def test_mmd_of_one_distribution_is_0_in_the_mean_and_may_fall_below():
    random = np.random.default_rng(1)
    found = [values(kernel_mmd(*random.normal(size=(2, 20, 3)), E)) for _ in range(200)]
    for name in ("mmd-rbf", "mmd-cubic"):
        of_name = np.array([f[name] for f in found])
        assert of_name.min() < 0
        assert abs(of_name.mean()) < 3 * of_name.std() / math.sqrt(200)


def test_the_kernels_width_is_that_of_real_text_whatever_is_held_against_it(monkeypatch):
    x, y = clouds()
    signatures = [kernel_mmd(x, other, E)["mmd-rbf"].signature for other in (y, 7 * y)]
    assert signatures[0] == signatures[1]
    monkeypatch.setattr(embedding, "MEDIAN_OF", 10)  # every third of thirty
    assert kernel_mmd(x, y, E)["mmd-rbf"].signature == kernel_mmd(x[::3], y, E)["mmd-rbf"].signature.replace(
        "references:10", "references:30"
    )


def test_real_sentences_that_are_all_the_same_have_no_median_distance():
    with pytest.raises(UserError, match="the median distance of real sentences is 0"):
        kernel_mmd(np.ones((5, 2)), clouds(d=2)[1], E)


@pytest.mark.parametrize("at_once", [2**23, 50])
def test_nearest_neighbours_are_those_of_all_distances(at_once, monkeypatch):
    monkeypatch.setattr(features, "AT_ONCE", at_once)
    x, y = clouds(20, 20)
    both = [*x, *y]
    right = []
    for i in range(40):
        nearest = min((j for j in range(40) if j != i), key=lambda j: distance(both[i], both[j]))
        right.append((i < 20) == (nearest < 20))
    assert values(nearest_neighbour_accuracy(x, y, E)) == pytest.approx(
        {
            "1nn-accuracy": sum(right) / 40,
            "1nn-accuracy-real": sum(right[:20]) / 20,
            "1nn-accuracy-fake": sum(right[20:]) / 20,
        }
    )


def test_nearest_neighbours_tell_collapse_from_copying_from_distance():
    x = np.arange(20.0)[:, None] * [1, 1]
    far = nearest_neighbour_accuracy(x, x + 100, E)
    assert set(values(far).values()) == {1}
    copied = nearest_neighbour_accuracy(x, x.copy(), E)
    assert set(values(copied).values()) == {0}
    one = nearest_neighbour_accuracy(x, np.repeat(x[:1] - 0.1, 20, axis=0), E)
    assert one["1nn-accuracy-fake"].value == 1
    assert one["1nn-accuracy-real"].value == 19 / 20


def test_a_tie_of_neighbours_counts_as_half():
    # three copies of real and generated: each has a twin on either side
    x = np.zeros((3, 2))
    assert set(values(nearest_neighbour_accuracy(x, x, E)).values()) == {0.5}


def test_sides_are_made_equal_by_evenly_spaced_sentences():
    x, y = clouds(30, 10)
    found = nearest_neighbour_accuracy(x, y, E)
    assert found == nearest_neighbour_accuracy(x[::3], y, E)
    assert "samples:10|references:10|" in found["1nn-accuracy"].signature


def ball(x, i, k):
    return sorted(distance(x[i], x[j]) for j in range(len(x)) if j != i)[k - 1]


@pytest.mark.parametrize("at_once", [2**23, 50])
def test_precision_recall_density_and_coverage_are_the_loops(at_once, monkeypatch):
    monkeypatch.setattr(features, "AT_ONCE", at_once)
    x, y = clouds()
    n, m = len(x), len(y)
    for k in (1, 3, 5):
        of_x, of_y = [ball(x, i, k) for i in range(n)], [ball(y, j, k) for j in range(m)]
        inside = [[distance(x[i], y[j]) <= of_x[i] for j in range(m)] for i in range(n)]
        precision = sum(any(inside[i][j] for i in range(n)) for j in range(m)) / m
        recall = sum(any(distance(x[i], y[j]) <= of_y[j] for j in range(m)) for i in range(n)) / n
        assert values(precision_recall(x, y, E, k)) == pytest.approx({"precision": precision, "recall": recall})
        density, coverage = sum(map(sum, inside)) / (k * m), sum(map(any, inside)) / n
        assert values(density_coverage(x, y, E, k)) == pytest.approx({"density": density, "coverage": coverage})


def test_a_collapsed_sample_is_precise_and_covers_nothing():
    x, _ = clouds(50)
    y = np.repeat(x[:1], 50, axis=0)
    found = values(precision_recall(x, y, E) | density_coverage(x, y, E))
    assert found["precision"] == 1
    assert found["recall"] == 1 / 50
    assert found["coverage"] < 0.3


def test_what_is_far_away_has_neither_precision_nor_recall():
    x, _ = clouds()
    found = values(precision_recall(x, x + 100, E) | density_coverage(x, x + 100, E))
    assert set(found.values()) == {0}


def test_all_scores_come_in_a_stable_order_with_sizes_and_encoder():
    x, y = clouds()
    found = embedding_scores(x, y, E)
    assert list(found) == [
        "frechet-distance", "mmd-rbf", "mmd-cubic", "1nn-accuracy", "1nn-accuracy-real", "1nn-accuracy-fake",
        "precision", "recall", "density", "coverage", "mauve",
    ]  # fmt: skip
    assert all("|samples:20|references:" in s.signature and f"|encoder:{E}|" in s.signature for s in found.values())
    assert len({score.signature for score in found.values()}) == len(found)
    assert found["coverage"] == density_coverage(x, y, E)["coverage"]
    assert "|k:5|" in found["coverage"].signature
    assert "|k:3|" in found["recall"].signature


def test_too_few_sentences_are_refused_by_name():
    x, y = clouds(6, 5)
    with pytest.raises(UserError, match=r"the number of generated sentences \(=5\) for density must be at least 6"):
        embedding_scores(x, y, E)
    assert len(embedding_scores(x, x, E)) == 11
