"""MAUVE (Pillutla et al., NeurIPS 2021): how much of each of two distributions of text lies where the other has little.

Both sets of features are cut into the same k clusters; what is left are two histograms P and Q over the clusters. For
every mixture ``R = w P + (1 - w) Q``, KL(Q || R) says what Q has and P lacks, KL(P || R) the converse. The curve of
``(exp(-c KL(Q || R)), exp(-c KL(P || R)))`` over w in (0, 1) is the divergence frontier; MAUVE is the area under it:
1 for equal histograms, near 0 for disjoint ones.

Differs from the paper: one half is added to every count (Krichevsky-Trofimov), as in the authors' later account
(Pillutla et al., JMLR 2023), since plain histograms of small clusters are biased; the curve has 1,000 mixtures, not 25,
so that the area is that of the curve; features come from whatever encoder the caller names.
"""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Float, Float64, Int

from textgan.errors import UserError
from textgan.metrics.base import Score, signature
from textgan.metrics.features import checked

SCALING = 5.0
"""c of the paper: it spreads the values over (0, 1) and does not change their order."""
EXPLAINED = 0.9
"""Share of the variance that the principal components keep."""
SENTENCES_A_CLUSTER = 10
MIXTURES = 1000
STARTS = 5
"""k-means is started this often; the best one counts."""


def mauve(
    real: Float[np.ndarray, "n d"],
    fake: Float[np.ndarray, "m d2"],
    encoder: str,
    clusters: int | None = None,
    seed: int = 0,
) -> Score:
    """MAUVE of two sets of features, in (0, 1]; higher is closer.

    Vectors are scaled to length 1 and reduced to the principal components that keep 90% of their joint variance;
    k-means is fitted to both sets together. The value depends on the number of clusters and on the sizes of both sets:
    compare only where the signatures agree.

    Args:
        encoder: what made the features, for the signature.
        clusters: k. None: a tenth of the smaller set, at least 2, as in the paper.
        seed: of k-means.

    Raises:
        UserError: fewer than two sentences on a side; `clusters` is not in 2 ... n + m; see also `checked`.
    """
    real, fake = checked(real, fake, 2, "mauve")
    k = max(2, round(min(len(real), len(fake)) / SENTENCES_A_CLUSTER)) if clusters is None else clusters
    if not 2 <= k <= len(real) + len(fake):
        raise UserError(f"the number of clusters (={k}) for mauve must be at least 2 and at most all sentences")
    of_real, of_fake = np.split(_cluster(_reduced(np.concatenate([real, fake])), k, seed), [len(real)])
    area = frontier_area(smoothed(np.bincount(of_real, minlength=k)), smoothed(np.bincount(of_fake, minlength=k)))
    settings = {"k": k, "scaling": SCALING, "smoothing": "add-1/2", "explained": EXPLAINED, "seed": seed}
    return Score(area, signature("mauve", **settings, samples=len(fake), references=len(real), encoder=encoder))


def smoothed(counts: Int[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
    """Krichevsky and Trofimov's estimate of a distribution: ``(count + 1/2) / (n + k/2)``."""
    return (counts + 0.5) / (counts.sum() + len(counts) / 2)


def frontier_area(
    p: Float64[np.ndarray, " k"], q: Float64[np.ndarray, " k"], scaling: float = SCALING, mixtures: int = MIXTURES
) -> float:
    """Area under the divergence frontier of two distributions without zeros, in (0, 1], by the trapezoidal rule.

    From its two ends, where R is P or Q itself, the curve goes straight to the axes.
    """
    w = np.linspace(0, 1, mixtures)[:, None]
    r = w * p + (1 - w) * q
    x = np.exp(-scaling * (q * np.log(q / r)).sum(1))  # falls as w grows
    y = np.exp(-scaling * (p * np.log(p / r)).sum(1))
    x, y = np.concatenate([[1.0], x, [0.0]]), np.concatenate([[0.0], y, [1.0]])
    return float(((x[:-1] - x[1:]) * (y[:-1] + y[1:])).sum() / 2)


def _reduced(features: np.ndarray) -> np.ndarray:
    """Vectors of length 1, in the fewest principal components that keep `EXPLAINED` of the variance."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    scaled = features / np.where(lengths == 0, 1, lengths)
    centred = scaled - scaled.mean(0)
    variance, components = np.linalg.eigh(centred.T @ centred)  # in ascending order
    share = np.cumsum(np.maximum(variance[::-1], 0))
    kept = int(np.searchsorted(share, EXPLAINED * share[-1])) + 1
    return centred @ components[:, ::-1][:, :kept]


def _cluster(points: np.ndarray, k: int, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans  # takes a second
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different sentences than k: clusters are left empty
        return KMeans(k, n_init=STARTS, max_iter=500, random_state=seed).fit_predict(points)
