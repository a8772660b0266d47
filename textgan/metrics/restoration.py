"""Images held against the truth, each against its own: errors, and the similarity of structure."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from textgan.errors import UserError
from textgan.metrics.base import Score, signature

RANGE = 2.0
"""Between black and white."""
WINDOW = 7
"""Pixels a side of the squares whose structure is compared; of smaller images, all of them."""


def restoration_scores(
    made: Float[np.ndarray, "n channels height width"], truth: Float[np.ndarray, "m channels2 height2 width2"]
) -> dict[str, Score]:
    """mae, psnr and ssim of images in [-1, 1].

    - "mae": the mean absolute error of a number, between 0 and 2.
    - "psnr": ``10 log10(range^2 / mse)`` in dB, of each image, the mean over images; at most 100.
    - "ssim": structural similarity, see `ssim`; 1 where images are equal.

    Raises:
        UserError: shapes differ, or there is no image.
    """
    if made.shape != truth.shape or not len(made):
        raise UserError(f"made images have the shape {made.shape}, true ones {truth.shape}; accepted: equal, not empty")
    made, truth = made.astype(np.float64), truth.astype(np.float64)
    errors = ((made - truth) ** 2).mean((1, 2, 3))
    psnr = 10 * np.log10(RANGE**2 / np.maximum(errors, RANGE**2 * 1e-10))
    values = {"mae": np.abs(made - truth).mean(), "psnr": psnr.mean(), "ssim": ssim(made, truth).mean()}
    settings: dict[str, dict[str, object]] = {"psnr": {"range": RANGE}, "ssim": {"window": WINDOW, "range": RANGE}}
    return {
        name: Score(float(value), signature(name, **settings.get(name, {}), samples=len(made)))
        for name, value in values.items()
    }


def ssim(
    x: Float[np.ndarray, "n channels height width"], y: Float[np.ndarray, "n channels height width"]
) -> Float[np.ndarray, " n"]:
    """The structural similarity of each pair (Wang et al. 2004, equation 13): its mean over squares and channels.

    ``(2 m_x m_y + c_1)(2 c_xy + c_2) / ((m_x^2 + m_y^2 + c_1)(s_x^2 + s_y^2 + c_2))`` with ``c_1 = (0.01 L)^2``,
    ``c_2 = (0.03 L)^2``, L the range; squares of 7 x 7 pixels, all weighing the same, unbiased (co)variances. Black
    is 0 here: with means of two signs an image would be like its negative.
    """
    x, y = x + RANGE / 2, y + RANGE / 2
    side = min(WINDOW, *x.shape[2:])
    n = side * side

    def mean(z: np.ndarray) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(z, (side, side), axis=(2, 3))
        return windows.mean((4, 5))

    mean_x, mean_y = mean(x), mean(y)
    unbiased = n / max(n - 1, 1)
    var_x, var_y = ((mean(z * z) - m * m) * unbiased for z, m in ((x, mean_x), (y, mean_y)))
    covariance = (mean(x * y) - mean_x * mean_y) * unbiased
    c_1, c_2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
    top = (2 * mean_x * mean_y + c_1) * (2 * covariance + c_2)
    bottom = (mean_x**2 + mean_y**2 + c_1) * (var_x + var_y + c_2)
    return (top / bottom).mean((1, 2, 3))
