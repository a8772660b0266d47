"""MAUVE against integrals and histograms that are known."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from textgan.errors import UserError
from textgan.metrics.mauve import frontier_area, mauve, smoothed


def blobs(of_real, of_fake, seed=0):
    """As many vectors of each side as asked for, about directions so different that k-means finds them."""
    random = np.random.default_rng(seed)
    centres = np.eye(len(of_real), 8) * 10

    def side(counts):
        return np.concatenate(
            [c + random.normal(size=(n, 8)) * 0.01 for c, n in zip(centres, counts, strict=True) if n]
        )

    return side(of_real), side(of_fake)


def area_by_quadrature(p, q, c=5.0):
    """Area of two-bin distributions, integrated over the mixture's weight with the derivative written out."""
    p, q = np.array([p, 1 - p]), np.array([q, 1 - q])

    def x(w):
        return math.exp(-c * (q * np.log(q / (w * p + (1 - w) * q))).sum())

    def y(w):
        return math.exp(-c * (p * np.log(p / (w * p + (1 - w) * q))).sum())

    def minus_dx(w):
        return x(w) * -c * (q * (p - q) / (w * p + (1 - w) * q)).sum()

    between, _ = quad(lambda w: y(w) * minus_dx(w), 0, 1, epsabs=1e-12)
    return between + x(1)  # left of the curve's end, where R = P, its height is 1


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.6), (0.9, 0.2), (0.99, 0.01)])
def test_the_area_is_the_integral_of_the_frontier(p, q):
    found = frontier_area(np.array([p, 1 - p]), np.array([q, 1 - q]))
    assert found == pytest.approx(area_by_quadrature(p, q), abs=2e-5)


def test_the_area_is_symmetric_and_1_for_equal_distributions():
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.6, 0.3, 0.1])
    assert frontier_area(p, q) == pytest.approx(frontier_area(q, p), abs=1e-5)
    assert frontier_area(p, p) == 1
    assert frontier_area(p, q, scaling=1.0) > frontier_area(p, q)


def test_smoothing_adds_half_a_sentence_to_every_cluster():
    assert smoothed(np.array([3, 0, 1])).tolist() == pytest.approx([3.5 / 5.5, 0.5 / 5.5, 1.5 / 5.5])


def test_of_known_clusters_is_the_area_of_their_smoothed_histograms():
    real, fake = blobs([30, 10], [5, 35])
    expected = area_by_quadrature(30.5 / 41, 5.5 / 41)
    assert mauve(real, fake, "e", clusters=2).value == pytest.approx(expected, abs=2e-5)
    # one cluster is of real text alone
    real, fake = blobs([20, 20], [40, 0])
    assert mauve(real, fake, "e", clusters=2).value == pytest.approx(area_by_quadrature(0.5, 40.5 / 41), abs=2e-5)


def test_of_a_sample_with_itself_is_1_and_of_others_of_its_kind_near_it():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 400, 6))
    assert mauve(x, x, "e").value == pytest.approx(1)
    assert mauve(x, y, "e").value > 0.9
    assert mauve(x, y + 5, "e").value < 0.1


def test_lengths_of_vectors_do_not_count():
    real, fake = blobs([30, 10], [5, 35])
    scaled = fake * np.linspace(0.5, 9, 40)[:, None]
    assert mauve(real, fake, "e", clusters=2) == mauve(real, scaled, "e", clusters=2)


def test_the_signature_tells_everything_and_the_seed_is_kept():
    x, y = np.random.default_rng(0).normal(size=(2, 60, 4))
    found = mauve(x, y[:50], "minilm", seed=3)
    assert found.signature == (
        "mauve|k:5|scaling:5.0|smoothing:add-1/2|explained:0.9|seed:3|samples:50|references:60|encoder:minilm|version:1"
    )
    assert found == mauve(x, y[:50], "minilm", seed=3)


def test_a_sample_of_fewer_different_sentences_than_clusters_is_measured():
    real = np.repeat(np.eye(3), 20, axis=0)
    found = mauve(real, np.repeat(np.eye(3)[:1], 60, axis=0), "e")
    assert "|k:6|" in found.signature
    assert 0 < found.value < 0.3
    assert mauve(np.ones((8, 2)), np.ones((8, 2)), "e").value == pytest.approx(1)


@pytest.mark.parametrize("clusters", [1, 21])
def test_numbers_of_clusters_that_cannot_be_are_refused(clusters):
    x = np.random.default_rng(0).normal(size=(10, 4))
    with pytest.raises(UserError, match=rf"the number of clusters \(={clusters}\) for mauve must be at least 2"):
        mauve(x, x, "e", clusters)
