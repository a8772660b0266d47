"""Errors of images against hand computation."""

from __future__ import annotations

import numpy as np
import pytest

from textgan.errors import UserError
from textgan.metrics.restoration import restoration_scores, ssim


def images(seed: int, shape: tuple[int, ...] = (3, 2, 9, 8)) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape)


def test_errors_by_hand() -> None:
    made, truth = np.zeros((2, 1, 2, 2)), np.zeros((2, 1, 2, 2))
    made[0] += 0.5
    made[1, 0, 0, 0] = 1
    found = restoration_scores(made, truth)
    assert found["mae"].value == pytest.approx((0.5 + 0.25) / 2)
    assert found["psnr"].value == pytest.approx((10 * np.log10(4 / 0.25) + 10 * np.log10(4 / 0.25)) / 2)


def test_what_is_equal_is_without_error() -> None:
    found = {name: score.value for name, score in restoration_scores(images(0), images(0)).items()}
    assert found == {"mae": 0, "psnr": pytest.approx(100), "ssim": pytest.approx(1)}


def test_similarity_of_one_square_by_hand() -> None:
    x, y = images(1, (1, 1, 7, 7)), images(2, (1, 1, 7, 7))
    a, b = x.flatten() + 1, y.flatten() + 1
    covariance = np.cov(a, b)
    c1, c2 = 0.02**2, 0.06**2
    by_hand = (2 * a.mean() * b.mean() + c1) * (2 * covariance[0, 1] + c2)
    by_hand /= (a.mean() ** 2 + b.mean() ** 2 + c1) * (covariance[0, 0] + covariance[1, 1] + c2)
    assert ssim(x, y)[0] == pytest.approx(by_hand)


def test_similarity_is_the_mean_over_squares() -> None:
    x, y = images(3, (1, 1, 8, 9)), images(4, (1, 1, 8, 9))
    squares = [ssim(x[..., i : i + 7, j : j + 7], y[..., i : i + 7, j : j + 7])[0] for i in range(2) for j in range(3)]
    assert ssim(x, y)[0] == pytest.approx(np.mean(squares))


def test_an_image_is_not_like_its_negative() -> None:
    x = images(5)
    assert (ssim(x, -x) < 0).all()


def test_unlike_shapes_are_refused() -> None:
    with pytest.raises(UserError, match="accepted: equal, not empty"):
        restoration_scores(images(0), images(0)[:2])
