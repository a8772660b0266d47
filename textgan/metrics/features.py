"""Two sets of feature vectors, checked, and the distances between them in blocks that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float64

from textgan.errors import UserError

AT_ONCE = 2**23
"""Distances that are held at once: 64 MB, whatever the number of vectors."""
ROUNDING = 1e-10
"""Squared distances below this share of the squared lengths are 0: an encoder of float32 that reads a sentence twice,
in batches of other lengths, does not give the same vector to the last digit."""


def checked(
    real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d2"], least: int, metric: str
) -> tuple[Float64[np.ndarray, "n d"], Float64[np.ndarray, "m d"]]:
    """Both sets in float64.

    Raises:
        UserError: a side has fewer than `least` vectors or one that is not finite; their dimensions differ.
    """
    for side, features in (("real", real), ("generated", fake)):
        if len(features) < least:
            raise UserError(f"the number of {side} sentences (={len(features)}) for {metric} must be at least {least}")
        if not np.isfinite(features).all():
            raise UserError(f"the {side} features for {metric} have values that are not finite; accepted: numbers")
    if real.shape[1] != fake.shape[1]:
        raise UserError(
            f"the real features for {metric} have {real.shape[1]} dimensions, the generated ones {fake.shape[1]}; "
            "accepted: the same encoder's for both"
        )
    return real.astype(np.float64), fake.astype(np.float64)


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Parts of a matrix of `rows` rows that have `AT_ONCE` entries at most (one row at least)."""
    step = max(1, AT_ONCE // columns)
    return (slice(first, min(first + step, rows)) for first in range(0, rows, step))


def squared_distances(x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "m d"]) -> Float64[np.ndarray, "n m"]:
    """Squared Euclidean distances by one product of matrices: ``|x - y|^2 = |x|^2 + |y|^2 - 2 x.y``."""
    scale = (x * x).sum(1)[:, None] + (y * y).sum(1)
    distances = scale - 2 * (x @ y.T)
    distances[distances < ROUNDING * scale] = 0.0
    return distances


def distance_blocks(
    x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "m d"]
) -> Iterator[tuple[slice, Float64[np.ndarray, "rows m"]]]:
    """The squared distances of some rows of `x` to all of `y`, and which rows these are, until all had theirs."""
    return ((part, squared_distances(x[part], y)) for part in row_blocks(len(x), len(y)))


def radii(x: Float64[np.ndarray, "n d"], k: int) -> Float64[np.ndarray, " n"]:
    """Squared distance of each vector to the k-th nearest of the others, k < n."""
    found = []
    for part, distances in distance_blocks(x, x):
        distances[np.arange(len(distances)), np.arange(part.start, part.stop)] = np.inf
        found.append(np.partition(distances, k - 1, axis=1)[:, k - 1])
    return np.concatenate(found)
