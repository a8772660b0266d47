"""The Wasserstein distance of two samples, exactly."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from textgan.metrics.base import Score, signature
from textgan.metrics.features import checked, squared_distances

MATCHED = 1000
"""Vectors of a side, at most, that are matched: the time grows with the cube of their number."""


def wasserstein_distance(
    real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d2"], encoder: str, limit: int = MATCHED
) -> Score:
    """``min over permutations of mean_i |x_i - y_s(i)|``: the cost of moving one sample onto the other (W_1).

    Of equally many vectors of each side, the first ones, at most `limit`; biased upwards, the less the more there are.
    The sample estimate that Xu et al. (2018, section 2.4) recommend for evaluating GANs.

    Raises:
        UserError: an empty side; see also `checked`.
    """
    real, fake = checked(real, fake, 1, "wasserstein-distance")
    n = min(len(real), len(fake), limit)
    costs = np.sqrt(squared_distances(real[:n], fake[:n]))
    value = costs[linear_sum_assignment(costs)].mean()
    return Score(float(value), signature("wasserstein-distance", samples=n, references=n, encoder=encoder))
