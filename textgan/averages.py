"""Running averages: of weights, which sample better than the weights do, and of losses, which read better."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Players = Mapping[str, Sequence[nn.Parameter]]
"""The parameters that each player moves."""


class WeightAverages:
    """An exponential average of every weight that a player moves, over the steps that move it; none at a decay of 0.

    A weight that several players move (one network, two optimisers) has one average. It begins at the first step.
    """

    def __init__(self, players: Players, decay: float) -> None:
        self._players, self._decay = (players if decay else {}), decay
        self._weights = list(dict.fromkeys(weight for weights in self._players.values() for weight in weights))
        self._averages: dict[Tensor, Tensor] = {}

    @torch.no_grad()
    def update(self, player: str) -> None:
        """The player has made a step."""
        weights = self._players.get(player, ())
        known: list[Tensor] = [weight for weight in weights if weight in self._averages]
        if known:
            torch._foreach_lerp_([self._averages[weight] for weight in known], known, 1 - self._decay)
        self._averages |= {weight: weight.clone() for weight in weights if weight not in self._averages}

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Inside no player steps: the average of a weight that is written to begins anew with what is written."""
        before = {weight: weight._version for weight in self._averages}
        yield
        written = [weight for weight, version in before.items() if weight._version != version]
        _copy(written, [self._averages[weight] for weight in written])

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the weights are their averages."""
        weights = list(self._averages)
        former = [weight.detach().clone() for weight in weights]
        _copy(list(self._averages.values()), weights)
        try:
            yield
        finally:
            _copy(former, weights)

    def state_dict(self) -> dict[str, Any]:
        """The averages there are, by the place of the weight among all."""
        return {str(i): self._averages[weight] for i, weight in enumerate(self._weights) if weight in self._averages}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._averages = {self._weights[int(i)]: average.clone() for i, average in state.items()}


class LossAverages:
    """Means of what each player's losses were since they were last taken; summed where the losses are.

    A player may make several moves, with terms of their own: each mean is over the steps that had the term.
    """

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, tuple[Tensor, int]]] = {}

    def add(self, player: str, values: Mapping[str, Tensor]) -> None:
        """One step of the player."""
        sums = self._sums.setdefault(player, {})
        for name, value in values.items():
            total, count = sums.get(name, (torch.zeros_like(value), 0))
            sums[name] = total + value, count + 1

    def take(self) -> dict[str, dict[str, Tensor]]:
        """Player -> name -> mean; what was added is forgotten."""
        means = {
            player: {name: total / count for name, (total, count) in sums.items()}
            for player, sums in self._sums.items()
        }
        self._sums = {}
        return means


@torch.no_grad()
def _copy(source: Sequence[Tensor], target: Sequence[Tensor]) -> None:
    for there, here in zip(source, target, strict=True):
        here.copy_(there)
