"""How varied one sample is."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from textgan.metrics.base import Score, signature


def spread(features: Float[np.ndarray, "n d"], encoder: str) -> Score:
    """``sqrt(tr S)``, S being the covariance of the features: how far vectors lie from their mean; 0 if all are one."""
    value = np.sqrt(features.astype(np.float64).var(0, ddof=1).sum())
    return Score(float(value), signature("feature-spread", samples=len(features), encoder=encoder))
