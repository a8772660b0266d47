"""Whether a difference is more than chance: over the examples (paired bootstrap), over the seeds (Student's interval).

The bootstrap asks what other test stories would have shown of these very systems, the interval what other seeds would
have made of the training. A claim about a method needs the second; a claim about two files of endings the first.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sacrebleu.significance import PairedTest

from textgan.errors import UserError
from textgan.metrics.base import Score, signature
from textgan.metrics.overlap import as_lines, bleu_metric, require_pairs

CONFIDENCE = 0.95
SACREBLEU_SEED = 12345

Numbers = Sequence[float | int] | np.ndarray
"""One-dimensional."""


@dataclass(frozen=True)
class Comparison:
    """A system's corpus BLEU and how it stands to the baseline's."""

    score: Score
    half_width: float
    """Half the 95% interval of the resampled scores."""
    p: float | None
    """Two-sided, of a difference from the baseline as large as this by chance. None for the baseline itself."""


def paired_bootstrap(
    systems: Mapping[str, Sequence[Sequence[str]]],
    baseline: str,
    references: Sequence[Sequence[str]],
    n: int = 1000,
    seed: int = SACREBLEU_SEED,
    max_order: int = 4,
    tokenizer: str = "whitespace",
) -> dict[str, Comparison]:
    """sacreBLEU's paired bootstrap resampling (Koehn 2004) of `corpus_bleu`: each system, the baseline first.

    In each of the n resamples the same stories are drawn, with replacement, for both systems.

    Args:
        systems: the endings of each system, one a reference, in their order.
        baseline: the name of the system that the others are compared with.
        seed: from 1 up; sacreBLEU takes 0 for "no seed".

    Raises:
        UserError: `baseline` is not among the systems; n or seed below 1; see also `corpus_bleu`.
    """
    if baseline not in systems:
        raise UserError(f"baseline is {baseline!r}; accepted: one of the systems {', '.join(map(repr, systems))}")
    _require_at_least_1(n=n, seed=seed, max_order=max_order)
    for name, hypotheses in systems.items():
        require_pairs(hypotheses, references, f"the paired bootstrap of {name!r}")
    names = [baseline, *(name for name in systems if name != baseline)]
    named: list[tuple[str, Sequence[str]]] = [(name, as_lines(systems[name])) for name in names]
    with _sacrebleu_seed(seed):
        test = PairedTest(named, {"BLEU": bleu_metric(max_order)}, [as_lines(references)], "bs", n_samples=n)
        signatures, table = test()
    theirs = str(signatures["BLEU"]).replace("|", ",")
    signed = signature("corpus-bleu", n=max_order, samples=len(references), tokenizer=tokenizer, sacrebleu=theirs)
    results: list[Any] = table["BLEU"]
    return {
        name: Comparison(Score(result.score, signed), float(result.ci), result.p_value)
        for name, result in zip(names, results, strict=True)
    }


@dataclass(frozen=True)
class Difference:
    """The difference of two means, its 95% interval and how probable one so large is by chance."""

    value: float
    low: float
    high: float
    p: float
    signature: str


def paired_bootstrap_means(a: Numbers, b: Numbers, seed: int = 0, n: int = 10_000) -> Difference:
    """Paired bootstrap of ``mean(a) - mean(b)``, for a number an example (a judge's score, say) of two systems.

    The interval has the 2.5% and 97.5% quantiles of the resampled differences. ``p = (1 + c) / (1 + n)`` (Davison and
    Hinkley 1997), where c of the n resampled differences are as far from the measured one as that is from 0.

    Raises:
        UserError: a and b are not of one length; fewer than two numbers; a number is not finite; n below 1.
    """
    if len(a) != len(b):
        raise UserError(f"the numbers of values of a (={len(a)}) and of b (={len(b)}) must be the same")
    _require_at_least_1(n=n)
    differences = _finite(a, "a") - _finite(b, "b")
    rng = np.random.default_rng(seed)
    size = len(differences)
    resampled = np.array([differences[rng.integers(size, size=size)].mean() for _ in range(n)])
    value = differences.mean()
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    p = (1 + np.count_nonzero(np.abs(resampled - value) >= np.abs(value))) / (1 + n)
    signed = signature("paired-bootstrap", examples=size, resamples=n, seed=seed)
    return Difference(float(value), float(low), float(high), float(p), signed)


def interval(values: Numbers) -> tuple[float, float]:
    """Mean and half-width of Student's 95% interval, ``t_{0.975, k - 1} s / sqrt(k)``, of k values, one a seed.

    s is the sample standard deviation (k - 1). With three seeds t is 4.30.

    Raises:
        UserError: fewer than two values; a value is not finite.
    """
    from scipy import stats  # half a second, only for those who ask

    numbers = _finite(values, "values")
    k = len(numbers)
    t = stats.t.ppf((1 + CONFIDENCE) / 2, k - 1)
    return float(numbers.mean()), float(t * numbers.std(ddof=1) / math.sqrt(k))


def _finite(values: Numbers, name: str) -> np.ndarray:
    """At least two of them."""
    numbers = np.asarray(values, dtype=np.float64)
    if len(numbers) < 2:
        raise UserError(f"the number of {name} (={len(numbers)}) must be at least 2")
    if not np.isfinite(numbers).all():
        raise UserError(f"one of {name} is {numbers[~np.isfinite(numbers)][0]}; accepted: finite numbers")
    return numbers


def _require_at_least_1(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise UserError(f"{name} is {number}; it must be at least 1")


@contextmanager
def _sacrebleu_seed(seed: int) -> Iterator[None]:
    """The environment is the only place where sacreBLEU looks for a seed."""
    before = os.environ.get("SACREBLEU_SEED")
    os.environ["SACREBLEU_SEED"] = str(seed)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SACREBLEU_SEED"]
        else:
            os.environ["SACREBLEU_SEED"] = before
