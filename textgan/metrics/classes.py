"""What a classifier takes generated images for: Inception Score, Mode Score, the modes that are covered.

All take ``(n, K)`` probabilities of the K classes, one row an image, of a classifier whose name is part of every
signature. The scores have the names of those that an Inception network gives, and are not comparable with them: real
images, measured the same way, belong beside them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from textgan.errors import UserError
from textgan.metrics.base import Score, signature

COVERED = 0.1
"""Share of a class among real images that it must have at least among generated ones to count as covered."""


def inception_score(probabilities: Float[np.ndarray, "n classes"], classifier: str) -> Score:
    """``exp(E KL(p(y|x) || p(y)))``, in [1, K]: sure of each image, unsure of all together (Salimans et al. 2016)."""
    p = _checked(probabilities, "inception-score")
    return _score(np.exp(_mean_divergence(p, p.mean(0))), "inception-score", classifier, p)


def mode_score(
    probabilities: Float[np.ndarray, "n classes"], real: Float[np.ndarray, " classes"], classifier: str
) -> Score:
    """``exp(E KL(p(y|x) || p(y)) - KL(p(y) || p*(y)))``, p* being the classes of real images.

    As Xu et al. (2018, section 2.2) have it. (In Che et al., 2017, p* stands in both terms, which makes it equal to the
    Inception Score.)
    """
    p = _checked(probabilities, "mode-score")
    together = p.mean(0)
    return _score(np.exp(_mean_divergence(p, together) - _divergence(together, real)), "mode-score", classifier, p)


def class_scores(
    probabilities: Float[np.ndarray, "n classes"], real: Float[np.ndarray, "m classes"], classifier: str
) -> dict[str, Score]:
    """inception-score, mode-score, class-entropy, class-divergence and modes-covered.

    - "class-entropy": of the classes that images are taken for, in nats; ln K at most.
    - "class-divergence": ``KL(p(y) || p*(y))`` in nats, of these classes from those of the real images.
    - "modes-covered": the share of the real images' classes that a tenth as many generated ones are taken for.

    Args:
        probabilities: of generated images.
        real: of real ones.
    """
    p, q = _checked(probabilities, "class-entropy"), _checked(real, "class-entropy")
    share, real_share = (np.bincount(x.argmax(1), minlength=x.shape[1]) / len(x) for x in (p, q))
    there = real_share > 0
    covered = (share[there] >= COVERED * real_share[there]).mean()
    return {
        "inception-score": inception_score(p, classifier),
        "mode-score": mode_score(p, q.mean(0), classifier),
        "class-entropy": _score(_entropy(share), "class-entropy", classifier, p),
        "class-divergence": _score(_divergence(share, real_share), "class-divergence", classifier, p),
        "modes-covered": _score(covered, "modes-covered", classifier, p, of=int(there.sum()), least=COVERED),
    }


def category_accuracy(
    probabilities: Float[np.ndarray, "n classes"],
    category: Int[np.ndarray, " n"],
    names: tuple[str, ...],
    classifier: str,
) -> Mapping[str, Score]:
    """The share of images that are taken for what they should be: of all, and of each category."""
    p = _checked(probabilities, "category-accuracy")
    right = p.argmax(1) == category
    found = {"category-accuracy": _score(right.mean(), "category-accuracy", classifier, p)}
    for k, name in enumerate(names):
        of_it = right[category == k]
        if len(of_it):
            found[f"category-accuracy-{name}"] = _score(of_it.mean(), f"category-accuracy-{name}", classifier, of_it)
    return found


def code_match(
    probabilities: Float[np.ndarray, "n classes"], codes: Int[np.ndarray, " n"], metric: str, classifier: str
) -> Score:
    """The share of images whose code is that of their class, the values of the code being matched with the classes one
    to one as well as can be (Chen et al. 2016, section 7.2). Of codes that say nothing it is above 1 / classes.

    Args:
        codes: a number from 0 up for each image.
        metric: what the score is called: it is taken of real and of generated images.
    """
    p = _checked(probabilities, metric)
    together = np.zeros((codes.max() + 1, p.shape[1]))
    np.add.at(together, (codes, p.argmax(1)), 1)
    matched = together[linear_sum_assignment(together, maximize=True)].sum()
    return _score(matched / len(p), metric, classifier, p, values=len(together))


def _mean_divergence(p: np.ndarray, q: np.ndarray) -> float:
    return float(np.mean([_divergence(row, q) for row in p]))


def _divergence(p: np.ndarray, q: np.ndarray) -> float:
    """``KL(p || q)`` in nats; terms where p is 0 are 0, and q is taken to be a millionth at least."""
    there = p > 0
    return float((p[there] * np.log(p[there] / np.maximum(q[there], 1e-6))).sum())


def _entropy(p: np.ndarray) -> float:
    there = p > 0
    return float(-(p[there] * np.log(p[there])).sum())


def _checked(probabilities: np.ndarray, metric: str) -> np.ndarray:
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or len(p) == 0:
        raise UserError(f"{metric}: probabilities have the shape {p.shape}; (n, classes) with n above 0 is accepted")
    return p


def _score(value: float, metric: str, classifier: str, p: np.ndarray, **settings: object) -> Score:
    return Score(float(value), signature(metric, **settings, samples=len(p), classifier=classifier))
