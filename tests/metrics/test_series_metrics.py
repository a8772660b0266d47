"""Metrics of time series, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from textgan.metrics.series import autocorrelation, series_scores


def autoregression(coefficient: float, n: int = 4000, length: int = 12, seed: int = 0) -> np.ndarray:
    """Windows of x_t = c x_{t-1} + e_t at rest: unit variance, autocorrelation c^lag."""
    rng = np.random.default_rng(seed)
    found = [rng.standard_normal(n)]
    for _ in range(length - 1):
        found.append(coefficient * found[-1] + np.sqrt(1 - coefficient**2) * rng.standard_normal(n))
    return np.stack(found, 1)


def values(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    shaped = [x[:, :, None] if x.ndim == 2 else x for x in (real, fake)]
    return {name: score.value for name, score in series_scores(*shaped).items()}


@pytest.mark.parametrize("coefficient", [0.8, -0.5, 0.0])
@pytest.mark.parametrize("lag", [1, 2, 5])
def test_the_autocorrelation_of_an_autoregression_is_a_power_of_its_coefficient(coefficient, lag):
    windows = 3 + 2 * autoregression(coefficient)
    assert autocorrelation(windows, lag) == pytest.approx(coefficient**lag, abs=0.02)


def test_the_autocorrelation_is_about_the_mean_of_all_windows():
    """Windows that are each constant are as alike at every lag as at none; one by one they would have no variance."""
    levels = np.random.default_rng(0).standard_normal((500, 1)).repeat(8, 1)
    assert autocorrelation(levels, 3) == pytest.approx(1)
    by_hand = np.array([[1.0, 2.0, 4.0], [3.0, 0.0, 2.0]])
    d = by_hand - 2
    expected = np.mean([d[0, 0] * d[0, 1], d[0, 1] * d[0, 2], d[1, 0] * d[1, 1], d[1, 1] * d[1, 2]]) / (d**2).mean()
    assert autocorrelation(by_hand, 1) == pytest.approx(expected)


def test_the_error_is_the_largest_difference_over_lags_up_to_half_a_window():
    real, fake = autoregression(0.8), autoregression(0.3, seed=1)
    differences = {lag: 0.8**lag - 0.3**lag for lag in range(1, 7)}
    assert values(real, fake)["autocorrelation-error"] == pytest.approx(max(differences.values()), abs=0.03)
    assert max(differences, key=differences.get) == 2
    late = np.zeros((4, 8))
    late[:, 0] = late[:, 5] = [1, -1, 1, -1]  # alike at a lag of 5, beyond half a window
    noise = np.zeros((4, 8))
    noise[:, 0] = noise[:, 5] = [1, -1, -1, 1]
    noise[:, 5] *= [1, 1, -1, -1]
    assert autocorrelation(late, 5) != autocorrelation(noise, 5)
    assert values(late, noise)["autocorrelation-error"] == 0


def test_the_marginal_distance_of_shifted_and_of_scaled_numbers():
    """W_1 of X from X + s is |s|; of N(0, 1) from N(0, c^2) it is |c - 1| E|X| = |c - 1| sqrt(2 / pi)."""
    x = np.random.default_rng(0).standard_normal((5000, 6))
    assert values(x, x + 0.7)["marginal-distance"] == pytest.approx(0.7, abs=1e-6)
    assert values(x, x - 0.7)["marginal-distance"] == pytest.approx(0.7, abs=1e-6)
    assert values(x, 3 * x)["marginal-distance"] == pytest.approx(2 * np.sqrt(2 / np.pi), rel=0.01)
    assert values(x, np.random.default_rng(1).permuted(x.reshape(-1)).reshape(x.shape))["marginal-distance"] == 0


def test_the_kurtosis_of_a_gaussian_is_3_of_a_uniform_9_fifths_and_of_a_laplacian_6():
    rng = np.random.default_rng(0)
    real = rng.standard_normal((10, 4))
    for fake, expected in (
        (5 + 2 * rng.standard_normal((50_000, 4)), 3.0),
        (rng.uniform(-1, 1, (50_000, 4)), 1.8),
        (rng.laplace(size=(50_000, 4)), 6.0),
    ):
        assert values(real, fake)["kurtosis"] == pytest.approx(expected, rel=0.05)


def test_volatility_tells_calm_and_stormy_times_from_their_mixture():
    """Scales that last a window against scales drawn anew at each number: no autocorrelation in either, but in the
    squares, where it is Var(s^2) / (3 E s^4 - (E s^2)^2) = 2.25 / (25.5 - 6.25) for scales 1 and 2."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((20_000, 10))
    lasting = noise * rng.integers(1, 3, (20_000, 1))
    changing = rng.standard_normal(noise.shape) * rng.integers(1, 3, noise.shape)
    found = values(lasting, changing)
    assert found["volatility-error"] == pytest.approx(2.25 / 19.25, abs=0.02)
    assert found["autocorrelation-error"] < 0.02
    assert found["marginal-distance"] < 0.02


def test_channels_are_measured_apart_and_averaged():
    """The second channel alone is shifted and its order lost: half of both errors. Its mean does not matter for the
    kurtosis."""
    x = np.stack([autoregression(0.9), 50 + autoregression(0.9, seed=1)], 2)
    other = x.copy()
    other[:, :, 1] = np.random.default_rng(2).permuted(x[:, :, 1], axis=1) + 2
    found, alone = values(x, other), values(x[:, :, 1], other[:, :, 1])
    for name in ("marginal-distance", "autocorrelation-error", "volatility-error"):
        assert found[name] == pytest.approx(alone[name] / 2), name
    assert alone["marginal-distance"] == pytest.approx(2)
    assert found["kurtosis"] == pytest.approx(3, abs=0.15)


def test_equal_samples_differ_in_nothing_and_constants_are_no_error():
    x = autoregression(0.5, n=50)
    found = values(x, x)
    assert (found["marginal-distance"], found["autocorrelation-error"], found["volatility-error"]) == (0, 0, 0)
    still = values(x, np.ones((20, 12)))
    assert all(np.isfinite(value) for value in still.values())
    assert still["kurtosis"] == 0


def test_the_signature_has_the_sizes():
    scores = series_scores(np.random.rand(7, 6, 2), np.random.rand(9, 6, 2))  # noqa: NPY002
    assert {s.signature for s in scores.values()} == {
        scores["kurtosis"].signature.replace("kurtosis", name) for name in scores
    }
    for part in ("samples:9", "references:7", "length:6"):
        assert part in scores["kurtosis"].signature
