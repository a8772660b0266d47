"""What is drawn to be measured, and the form that measurements are logged in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textgan.errors import check_at_least, check_fields
from textgan.metrics import Score

Scores = dict[str, Score]


@dataclass(frozen=True)
class EvaluationConfig:
    """What is drawn to be measured. Of stories, endings are drawn: one a context."""

    samples: int = 500
    """Sentences drawn at each measurement during training."""
    final_samples: int = 2000
    """Sentences drawn at the end of a stage, for the test scores and at each temperature of the sweep."""
    references: int = 10_000
    """Held-out sentences of a split, at most, that samples are held against."""
    temperatures: tuple[float, ...] = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
    """Sampling temperatures of the quality-diversity sweep at the end of a stage."""

    def __post_init__(self) -> None:
        check_at_least(2, "evaluation", self, "samples", "final_samples", "references")
        check_fields("evaluation", self, "numbers above 0", lambda t: not t or min(t) > 0, "temperatures")


def plain(scores: Mapping[str, Score]) -> dict[str, Any]:
    """Scores as a record of the log holds them."""
    return {name: score.as_dict() for name, score in scores.items()}
