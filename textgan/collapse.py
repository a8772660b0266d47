"""The collapse watch: has the generator stopped being as varied as its data, and what is done about it?

The watch is handed every measurement of a fixed-seed sample and compares it with the same measurement of real data. A
limit is armed by the first measurement that keeps it: a generator that has not yet learned to be varied has not
collapsed. What is done about it is the business of `textgan.recovery`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from textgan.errors import check_at_least, check_fields


@dataclass(frozen=True)
class CollapseConfig:
    """What is done about a generator that collapses."""

    action: Literal["off", "warn", "recover"] = "recover"
    """off: nothing is watched. warn: broken limits are told and nothing else. recover: the last good networks and
    optimisers come back, learning rates are cut and the random number generators seeded anew."""
    patience: int = 2
    """Broken measurements in a row that are a collapse. At the end of a stage one is enough."""
    cut: float = 0.25
    """Factor of every learning rate at each rollback, in (0, 1]."""
    rollbacks: int = 3
    """Most rollbacks; the collapse after them ends the run, with the last good networks."""

    def __post_init__(self) -> None:
        check_at_least(1, "trainer.collapse", self, "patience")
        check_at_least(0, "trainer.collapse", self, "rollbacks")
        check_fields("trainer.collapse", self, "in (0, 1]", lambda factor: 0 < factor <= 1, "cut")


class Collapsed(Exception):
    """Training was stopped because rolling back had not helped. The message is the reason."""

    status = 3
    """Exit status of a command that ends so: there is a model, that of the last good networks."""


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
        """Whether `value` lies beyond the threshold. What is not a number keeps no limit."""
        limit = self.threshold(real)
        return not value <= limit if self.worst > real else not value >= limit


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
IMAGE_LIMITS: tuple[Limit, ...] = (
    Limit("class-entropy", worst=0.0, fraction=0.4),
    Limit("feature-spread", worst=0.0),
)
RISES: tuple[Rise, ...] = (Rise("nll-valid", by=1.0),)


class CollapseWatch:
    """Warns when a sample's metrics pass `limits`, given the metrics of `real` data at the same sample size."""

    def __init__(
        self,
        real: Mapping[str, float],
        limits: Sequence[Limit] = (*TEXT_LIMITS, *IMAGE_LIMITS),
        rises: Sequence[Rise] = RISES,
    ) -> None:
        self._real = dict(real)
        self._limits = [limit for limit in limits if limit.metric in real]
        self._rises = list(rises)
        self._armed: set[str] = set()
        self._lowest: dict[str, float] = {}

    def check(self, values: Mapping[str, float]) -> list[str]:
        """One message for each limit that this measurement breaks.

        Only a measurement that breaks none arms limits and lowers what rises are counted from. Hence the networks of
        the last such measurement keep every limit there is, and may be gone back to.
        """
        limits = [limit for limit in self._limits if limit.metric in values]
        broken = {limit.metric for limit in limits if limit.is_broken(values[limit.metric], self._real[limit.metric])}
        messages = [
            f"{limit.metric} is {values[limit.metric]:.3f}; real data has {self._real[limit.metric]:.3f}, "
            f"the limit is {limit.threshold(self._real[limit.metric]):.3f}"
            for limit in limits
            if limit.metric in broken & self._armed
        ]
        for rise in self._rises:
            if rise.metric in values and rise.metric in self._lowest:
                value, lowest = values[rise.metric], self._lowest[rise.metric]
                if not value <= lowest + rise.by:
                    messages.append(f"{rise.metric} is {value:.3f}; it was {lowest:.3f}, the limit is {rise.by:g} more")
        if not messages:
            self._armed |= {limit.metric for limit in limits} - broken
            for rise in self._rises:
                value = values.get(rise.metric, math.nan)
                if math.isfinite(value):
                    self._lowest[rise.metric] = min(value, self._lowest.get(rise.metric, value))
        return messages

    def state_dict(self) -> dict[str, Any]:
        return {"armed": sorted(self._armed), "lowest": dict(self._lowest)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._armed = set(state["armed"])
        self._lowest = dict(state["lowest"])
