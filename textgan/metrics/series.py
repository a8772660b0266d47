"""What makes a time series what it is: how its numbers are distributed and how they hang together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from textgan.metrics.base import Score, signature


def series_scores(
    real: Float[np.ndarray, "n length channels"], fake: Float[np.ndarray, "m length channels2"]
) -> dict[str, Score]:
    """marginal-distance, autocorrelation-error, volatility-error and kurtosis of generated windows.

    - "marginal-distance": the Wasserstein distance W_1 of all numbers of a channel, in the mean over channels.
    - "autocorrelation-error": the largest difference, over lags up to half a window, of the autocorrelations of a
      channel, in the mean over channels.
    - "volatility-error": the same of squared numbers, whose autocorrelation is how calm and stormy times cluster.
    - "kurtosis": of all generated numbers; 3 of a Gaussian.
    """
    values = {
        "marginal-distance": _over_channels(_marginal_distance, real, fake),
        "autocorrelation-error": _over_channels(_autocorrelation_error, real, fake),
        "volatility-error": _over_channels(_autocorrelation_error, _squared(real), _squared(fake)),
        "kurtosis": _kurtosis(fake),
    }
    sizes = {"samples": len(fake), "references": len(real), "length": fake.shape[1]}
    return {name: Score(float(value), signature(name, **sizes)) for name, value in values.items()}


def autocorrelation(windows: Float[np.ndarray, "n length"], lag: int) -> float:
    """The correlation of numbers `lag` apart in the same window, about the mean of all windows."""
    centred = windows - windows.mean()
    variance = (centred**2).mean()
    return float((centred[:, lag:] * centred[:, : windows.shape[1] - lag]).mean() / max(variance, 1e-12))


def _over_channels(of: Callable[[np.ndarray, np.ndarray], float], real: np.ndarray, fake: np.ndarray) -> float:
    return float(np.mean([of(real[:, :, c], fake[:, :, c]) for c in range(real.shape[2])]))


def _marginal_distance(real: np.ndarray, fake: np.ndarray) -> float:
    places = (np.arange(1000) + 0.5) / 1000
    return float(np.abs(np.quantile(real, places) - np.quantile(fake, places)).mean())


def _autocorrelation_error(real: np.ndarray, fake: np.ndarray) -> float:
    lags = range(1, max(2, real.shape[1] // 2 + 1))
    return max(abs(autocorrelation(real, lag) - autocorrelation(fake, lag)) for lag in lags)


def _squared(windows: np.ndarray) -> np.ndarray:
    return (windows - windows.mean((0, 1))) ** 2


def _kurtosis(windows: np.ndarray) -> float:
    centred = windows - windows.mean((0, 1))
    return float((centred**4).mean() / max((centred**2).mean() ** 2, 1e-12))
