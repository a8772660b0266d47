"""A number that carries everything that could change it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

VERSION = "1"
"""Raised whenever a metric's value may change for the same input."""


def signature(metric: str, **settings: Any) -> str:
    """``"bleu|n:4|smoothing:method1|...|version:1"``: the metric's name, its settings in the order given, version."""
    parts = [metric, *(f"{name}:{value}" for name, value in settings.items()), f"version:{VERSION}"]
    return "|".join(parts)


@dataclass(frozen=True)
class Score:
    """A measured value with its signature. A metric that was not run has no score; it is never 0."""

    value: float
    signature: str

    def stamped(self, **settings: Any) -> Score:
        """The same value with further settings in its signature: how the sample was drawn, say."""
        parts = self.signature.split("|")
        return Score(self.value, "|".join([*parts[:-1], *(f"{k}:{v}" for k, v in settings.items()), parts[-1]]))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
