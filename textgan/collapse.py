"""The collapse watch: has the generator stopped being as varied as its data?

It is handed every measurement of a fixed-seed sample and compares it with the same measurement of real text. A
limit is armed by the first measurement that keeps it: a generator that has not yet learned to be varied has not
collapsed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Limit:
    """How far a metric may lie from that of real data before it counts as collapsed.

    The distance is taken towards `worst`, the value of a generator that knows one sentence only: at `fraction` 0.5
    the limit lies half-way between the real data's value and the worst.
    """

    metric: str
    worst: float
    fraction: float = 0.5

    def threshold(self, real: float) -> float:
        return real + self.fraction * (self.worst - real)

    def is_broken(self, value: float, real: float) -> bool:
        limit = self.threshold(real)
        return value > limit if self.worst > real else value < limit


@dataclass(frozen=True)
class Rise:
    """How far a metric may rise above its lowest value so far (held-out likelihood forgotten)."""

    metric: str
    by: float


TEXT_LIMITS: tuple[Limit, ...] = (
    Limit("unique", worst=0.0),
    Limit("distinct-2", worst=0.0),
    Limit("entropy", worst=0.0, fraction=0.3),
    Limit("self-bleu-3", worst=1.0, fraction=0.6),
)
TEXT_RISES: tuple[Rise, ...] = (Rise("nll-valid", by=1.0),)


class CollapseWatch:
    """Warns when a sample's metrics pass `limits`, given the metrics of `real` data at the same sample size."""

    def __init__(
        self,
        real: Mapping[str, float],
        limits: Sequence[Limit] = TEXT_LIMITS,
        rises: Sequence[Rise] = TEXT_RISES,
    ) -> None:
        self._real = dict(real)
        self._limits = [limit for limit in limits if limit.metric in real]
        self._rises = list(rises)
        self._armed: set[str] = set()
        self._lowest: dict[str, float] = {}

    def check(self, values: Mapping[str, float]) -> list[str]:
        """One message for each limit that this measurement breaks."""
        messages = []
        for limit in self._limits:
            if limit.metric not in values:
                continue
            value, real = values[limit.metric], self._real[limit.metric]
            if not limit.is_broken(value, real):
                self._armed.add(limit.metric)
            elif limit.metric in self._armed:
                messages.append(
                    f"{limit.metric} is {value:.3f}; real text has {real:.3f}, the limit is {limit.threshold(real):.3f}"
                )
        for rise in self._rises:
            if rise.metric not in values:
                continue
            value = values[rise.metric]
            lowest = self._lowest[rise.metric] = min(value, self._lowest.get(rise.metric, value))
            if value > lowest + rise.by:
                messages.append(f"{rise.metric} is {value:.3f}; it was {lowest:.3f}, the limit is {rise.by:g} more")
        return messages

    def state_dict(self) -> dict[str, Any]:
        return {"armed": sorted(self._armed), "lowest": dict(self._lowest)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._armed = set(state["armed"])
        self._lowest = dict(state["lowest"])
