"""Running averages: of weights, which sample better than the weights do, and of losses, which read better."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

Players = Mapping[str, Sequence[nn.Parameter]]
"""The parameters that each player moves."""


class WeightAverages:
    """An exponential average of each player's weights over its own steps; none at a decay of 0.

    Two players that move the same weights (one network, two optimisers) share one average.
    """

    def __init__(self, players: Players, decay: float) -> None:
        self._players = players if decay else {}
        averages: dict[tuple[int, ...], AveragedModel] = {}
        for weights in self._players.values():
            average = AveragedModel(nn.ParameterList(weights), multi_avg_fn=get_ema_multi_avg_fn(decay))
            averages.setdefault(tuple(map(id, weights)), average)
        self._averages = {player: averages[tuple(map(id, weights))] for player, weights in self._players.items()}

    def update(self, player: str) -> None:
        """The player has made a step."""
        if self._averages:
            self._averages[player].update_parameters(nn.ParameterList(self._players[player]))

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the weights are their averages."""
        former = {player: [w.detach().clone() for w in weights] for player, weights in self._players.items()}
        for player, average in self._averages.items():
            _copy(average.module, self._players[player])
        try:
            yield
        finally:
            for player, weights in former.items():
                _copy(weights, self._players[player])

    def state_dict(self) -> dict[str, Any]:
        return {player: average.state_dict() for player, average in self._averages.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for player, average in self._averages.items():
            average.load_state_dict(state[player])


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
def _copy(source: Any, target: Sequence[nn.Parameter]) -> None:
    for there, here in zip(source, target, strict=True):
        here.copy_(there)
