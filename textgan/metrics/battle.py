"""Two GANs against each other: each discriminator judges the other's generator (Im et al. 2016, section 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from textgan.errors import UserError
from textgan.metrics.base import Score, signature


@dataclass(frozen=True)
class Side:
    """What one discriminator says: scores above 0 call a sample real."""

    real: Float[np.ndarray, " n"]
    """Of held-out real samples, the same as the other's."""
    fakes: Float[np.ndarray, " m"]
    """Of the other's generator's."""

    def __post_init__(self) -> None:
        for name in ("real", "fakes"):
            if len(getattr(self, name)) == 0:
                raise UserError(f"battle: there are no scores (0) of {name}; at least one is needed")


def battle(first: Side, second: Side, tolerance: float = 0.3) -> dict[str, Score]:
    """The generative adversarial metric, by error rates e::

        r_test = e(D1(x)) / e(D2(x))        r_samples = e(D1(G2(z))) / e(D2(G1(z)))

    - "battle-test": r_test. Near 1 both discriminators know real samples equally well, and the battle counts.
    - "battle-samples": r_samples. Below 1 the first deceives the second more than it is deceived.
    - "battle-winner": 1 or 2; 0, a tie, where r_samples is 1 or r_test is not near 1: outside of
      ``[1 / (1 + tolerance), 1 + tolerance]``.

    A ratio of two rates of 0 is 1; of a rate to 0, infinite. The paper says only that r_test must be about 1.

    Raises:
        UserError: the tolerance is below 0.
    """
    if tolerance < 0:
        raise UserError(f"battle: tolerance is {tolerance!r}; it must be at least 0")
    test = _ratio((first.real <= 0).mean(), (second.real <= 0).mean())
    samples = _ratio((first.fakes > 0).mean(), (second.fakes > 0).mean())
    counts = 1 / (1 + tolerance) <= test <= 1 + tolerance
    winner = 0 if not counts or samples == 1 else (1 if samples < 1 else 2)
    sizes = {"real": len(first.real), "samples": len(first.fakes)}
    return {
        "battle-test": Score(test, signature("battle-test", **sizes)),
        "battle-samples": Score(samples, signature("battle-samples", **sizes)),
        "battle-winner": Score(float(winner), signature("battle-winner", tolerance=tolerance, **sizes)),
    }


def _ratio(rate: float, other: float) -> float:
    if other == 0:
        return 1.0 if rate == 0 else math.inf
    return float(rate / other)
