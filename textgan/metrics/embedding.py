"""Two samples of sentences, compared as clouds of feature vectors: how far apart, and who covers whom.

Features are ``(n, d)`` arrays, one row a sentence, of one encoder, whose name is part of every signature. Nothing here
knows what made them. Each metric has a floor that is not 0 or 1: its value between two samples of real text, which
belongs beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float64

from textgan.errors import UserError
from textgan.metrics.base import Score, signature
from textgan.metrics.features import checked, distance_blocks, radii, row_blocks, squared_distances
from textgan.metrics.mauve import mauve

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Its values for all pairs of two sets of vectors."""
MEDIAN_OF = 2000
"""Real sentences, at most, whose distances give the median for the RBF kernel's width."""
PRECISION_NEIGHBOURS = 3
COVERAGE_NEIGHBOURS = 5


def frechet_distance(real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d2"], encoder: str) -> Score:
    """Squared Frechet distance of the two Gaussians with the samples' means and covariances; lower is closer.

    ``|mu_1 - mu_2|^2 + tr S_1 + tr S_2 - 2 tr (S_1 S_2)^(1/2)`` (Heusel et al. 2017, equation 6), S unbiased. With
    centred samples ``S_1 = X^T X / (n - 1)`` and ``S_2 = Y^T Y / (m - 1)`` the last trace is the sum of the singular
    values of ``X Y^T / sqrt((n - 1)(m - 1))``, and X, Y may be replaced by the triangles of their QR factorisations. So
    no root of a matrix is taken, nothing is added to a diagonal, and fewer sentences than dimensions are no trouble.
    The estimate itself is biased upwards, the more so the smaller the samples: compare only at equal sizes.

    Raises:
        UserError: fewer than two sentences on a side; see also `checked`.
    """
    real, fake = checked(real, fake, 2, "frechet-distance")
    shift = real.mean(0) - fake.mean(0)
    x, y = ((z - z.mean(0)) / np.sqrt(len(z) - 1) for z in (real, fake))
    overlap = np.linalg.norm(np.linalg.qr(x).R @ np.linalg.qr(y).R.T, ord="nuc")
    value = float(shift @ shift + (x * x).sum() + (y * y).sum() - 2 * overlap)
    return _score(max(value, 0.0), "frechet-distance", real, fake, encoder)


def kernel_mmd(real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d2"], encoder: str) -> dict[str, Score]:
    """Squared maximum mean discrepancy by the unbiased estimate (Gretton et al. 2012, equation 3), under two kernels.

    ``mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean k(x_i, y_j)``; below 0 by chance where the samples
    are alike.

    - "mmd-rbf": ``exp(-|x - y|^2 / (2 s^2))``, s the median distance between real sentences (2,000 of them, at most),
      so that all systems held against the same text have the same kernel. The signature has s.
    - "mmd-cubic": ``(x.y / d + 1)^3``, that of KID (Binkowski et al. 2018). For vectors of length 1 it is almost
      linear, and the values are small.

    Raises:
        UserError: fewer than two sentences on a side; most real sentences have the same features; see also `checked`.
    """
    real, fake = checked(real, fake, 2, "mmd")
    width = _median_distance(_spread(real, MEDIAN_OF))

    def rbf(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.exp(squared_distances(x, y) / (-2 * width**2))

    def cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / x.shape[1] + 1) ** 3

    estimate = "unbiased"
    of_rbf, of_cubic = _unbiased_mmd(rbf, real, fake), _unbiased_mmd(cubic, real, fake)
    return {
        "mmd-rbf": _score(of_rbf, "mmd", real, fake, encoder, kernel="rbf", width=f"{width:.6g}", estimate=estimate),
        "mmd-cubic": _score(of_cubic, "mmd", real, fake, encoder, kernel="cubic", estimate=estimate),
    }


def nearest_neighbour_accuracy(
    real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d2"], encoder: str
) -> dict[str, Score]:
    """Leave-one-out accuracy of the nearest neighbour in telling real from generated (Lopez-Paz and Oquab 2017).

    0.5 where nothing tells them apart; 1 where they lie apart; below 0.5 where each generated sentence sits on a real
    one, as where a model repeats the text it is held against. "1nn-accuracy" is over both, "1nn-accuracy-real" and
    "1nn-accuracy-fake" over one side: few real but many generated ones told apart is a model that misses little and
    says what nobody says; the converse is one that has collapsed (Xu et al. 2018). Chance is 0.5 only for sides of
    equal size: of the larger one evenly spaced sentences are taken. A tie between the sides counts as half.

    Raises:
        UserError: fewer than two sentences on a side; see also `checked`.
    """
    real, fake = checked(real, fake, 2, "1nn-accuracy")
    size = min(len(real), len(fake))
    real, fake = _spread(real, size), _spread(fake, size)
    crossed = [(d.min(1), d.min(0)) for _, d in distance_blocks(real, fake)]
    to_fake = np.concatenate([rows for rows, _ in crossed])
    to_real = np.min([columns for _, columns in crossed], axis=0)
    right = {
        "-real": _won(radii(real, 1), to_fake),
        "-fake": _won(radii(fake, 1), to_real),
    }
    means = {"": np.mean([*right.values()]), **{side: found.mean() for side, found in right.items()}}
    return {
        f"1nn-accuracy{side}": _score(mean, f"1nn-accuracy{side}", real, fake, encoder, ties="half")
        for side, mean in means.items()
    }


def precision_recall(
    real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d2"], encoder: str, k: int = PRECISION_NEIGHBOURS
) -> dict[str, Score]:
    """Improved precision and recall (Kynkaanniemi et al. 2019), in [0, 1]; higher is better.

    A sample's manifold is the union of balls about its sentences, each as far as the k-th nearest other one.
    "precision" is the share of generated sentences inside the real manifold, "recall" the converse.

    Raises:
        UserError: a side has k sentences or fewer; see also `checked`.
    """
    real, fake = checked(real, fake, k + 1, "precision")
    of_real, of_fake = radii(real, k), radii(fake, k)
    inside = np.zeros(len(fake), dtype=bool)
    covered = []
    for part, distances in distance_blocks(real, fake):
        inside |= (distances <= of_real[part, None]).any(0)
        covered.append((distances <= of_fake).any(1))
    return {
        "precision": _score(inside.mean(), "precision", real, fake, encoder, k=k),
        "recall": _score(np.concatenate(covered).mean(), "recall", real, fake, encoder, k=k),
    }


def density_coverage(
    real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d2"], encoder: str, k: int = COVERAGE_NEIGHBOURS
) -> dict[str, Score]:
    """Density and coverage (Naeem et al. 2020), by the real sentences' balls alone; higher is better.

    "density": how many real balls a generated sentence lies in, in the mean, over k; about 1 for real text, and not
    bounded by it. "coverage": the share of real balls with a generated sentence in them, in [0, 1].

    Raises:
        UserError: a side has k sentences or fewer; see also `checked`.
    """
    real, fake = checked(real, fake, k + 1, "density")
    of_real = radii(real, k)
    held = np.concatenate([(d <= of_real[part, None]).sum(1) for part, d in distance_blocks(real, fake)])
    return {
        "density": _score(held.sum() / (k * len(fake)), "density", real, fake, encoder, k=k),
        "coverage": _score((held > 0).mean(), "coverage", real, fake, encoder, k=k),
    }


def embedding_scores(real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d2"], encoder: str) -> dict[str, Score]:
    """All there is for the features of two samples, in this order.

    frechet-distance, mmd-rbf, mmd-cubic, 1nn-accuracy (and -real, -fake), precision, recall, density, coverage, mauve.

    Args:
        real: of held-out sentences.
        fake: of generated ones.
        encoder: what made them: its `signature`.

    Raises:
        UserError: fewer than six sentences on a side; see also `checked`.
    """
    return {
        "frechet-distance": frechet_distance(real, fake, encoder),
        **kernel_mmd(real, fake, encoder),
        **nearest_neighbour_accuracy(real, fake, encoder),
        **precision_recall(real, fake, encoder),
        **density_coverage(real, fake, encoder),
        "mauve": mauve(real, fake, encoder),
    }


def _score(value: float, metric: str, real: np.ndarray, fake: np.ndarray, encoder: str, **settings: object) -> Score:
    sizes = {"samples": len(fake), "references": len(real), "encoder": encoder}
    return Score(float(value), signature(metric, **settings, **sizes))


def _spread(x: np.ndarray, n: int) -> np.ndarray:
    """`n` rows, evenly spaced; all where there are no more."""
    n = min(n, len(x))
    return x[np.arange(n) * len(x) // n]


def _won(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """1 where the nearest neighbour is of one's own side, 0 where it is not, 1/2 where it cannot be said."""
    return (own < other) + 0.5 * (own == other)


def _unbiased_mmd(kernel: Kernel, x: np.ndarray, y: np.ndarray) -> float:
    return _mean(kernel, x) + _mean(kernel, y) - 2 * _mean(kernel, x, y)


def _mean(kernel: Kernel, x: np.ndarray, y: np.ndarray | None = None) -> float:
    """Mean of the kernel over the pairs of two sets, or over those of two different vectors of one set."""
    others = x if y is None else y
    total = 0.0
    for part in row_blocks(len(x), len(others)):
        values = kernel(x[part], others)
        if y is None:
            values[np.arange(len(values)), np.arange(part.start, part.stop)] = 0
        total += float(values.sum())
    return total / (len(x) * (len(others) - (y is None)))


def _median_distance(x: Float64[np.ndarray, "n d"]) -> float:
    median = float(np.median(np.sqrt(squared_distances(x, x)[np.triu_indices(len(x), 1)])))
    if median == 0:
        raise UserError(
            "the median distance of real sentences is 0: most are the same; accepted: sentences that differ"
        )
    return median
