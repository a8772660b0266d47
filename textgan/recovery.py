"""What is done about a collapse: go back to the last good networks, learn more slowly, draw otherwise; in the end stop.

A measurement that breaks no limit makes what was learned until then *the last good state*, of which one copy is kept.
A collapse (broken limits, or a loss that is not finite) puts it back, cuts every learning rate and seeds the random
number generators anew. The place in the plan and in the data is not put back, so a run ends however often it collapses.
The first collapse after the last rollback allowed stops it, with the last good state in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.utils._pytree import tree_map_only

from textgan.averages import WeightAverages
from textgan.collapse import CollapseConfig
from textgan.game import Game
from textgan.reproducibility import seed_generators

SEEDS_APART = 1_000_003
"""Between the seeds of two rollbacks, beside their steps."""


@dataclass(frozen=True)
class Learned:
    """All that learning changes: networks with their buffers, optimisers, running averages of weights."""

    game: Game
    optimizers: Mapping[str, Optimizer]
    averages: WeightAverages

    def state_dict(self) -> dict[str, Any]:
        return {
            "game": self.game.state_dict(),
            "optimizers": {player: optimizer.state_dict() for player, optimizer in self.optimizers.items()},
            "averages": self.averages.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises RuntimeError where the state is one of another game."""
        self.game.load_state_dict(state["game"])
        for player, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][player])
        self.averages.load_state_dict(state["averages"])


class Recovery:
    """Holds the last good state of what is `learned`, in host memory, and goes back to it."""

    def __init__(self, config: CollapseConfig, learned: Learned) -> None:
        self.rollbacks = 0
        self.reason: str | None = None
        """Why the run was stopped."""
        self._config, self._learned = config, learned
        self._broken = 0  # measurements in a row
        self._good: dict[str, Any] | None = None
        self._good_step = 0
        self._equal_at: int | None = None  # the step at which what is learned equals the last good state

    @property
    def is_possible(self) -> bool:
        """There is a state to go back to."""
        return self._good is not None

    def has_collapsed(self, broken: bool, ends_stage: bool) -> bool:
        """Whether it is time to act, given that the measurement just made has `broken` a limit."""
        self._broken = self._broken + 1 if broken else 0
        return self.is_possible and broken and (ends_stage or self._broken >= self._config.patience)

    def remember(self, step: int) -> None:
        """What is learned now, at `step`, is good."""
        if self._config.action == "recover":
            self._good, self._good_step, self._equal_at = _copy(self._learned.state_dict()), step, step

    def roll_back(self, step: int, why: str) -> str:
        """Put the last good state back and go on from it, or stop (`reason` is set). Says which, in one line.

        After n rollbacks every learning rate is ``cut ** n`` times what it was in the beginning.
        """
        assert self._good is not None
        if self.rollbacks < self._config.rollbacks:
            self.rollbacks += 1
            for optimizer in self._good["optimizers"].values():
                for group in optimizer["param_groups"]:
                    group["lr"] *= self._config.cut
            seed_generators(SEEDS_APART * self.rollbacks + step)
            said = (
                f"rolled back to step {self._good_step} ({self.rollbacks} of {self._config.rollbacks} times), "
                f"learning rates are now {self._config.cut**self.rollbacks:.3g} of those set: {why}"
            )
        else:
            self.reason = f"{why}; rollbacks before: {self.rollbacks}; the networks of step {self._good_step} are kept"
            said = f"stopped: {self.reason}"
        self._learned.load_state_dict(_copy(self._good))  # an optimiser keeps the tensors that it is given
        self._broken, self._equal_at = 0, step
        return said

    def state_dict(self, step: int) -> dict[str, Any]:
        """For a checkpoint of `step`, which has the last good state anyway where nothing was learned since."""
        equal = self._equal_at == step
        return {
            "rollbacks": self.rollbacks,
            "reason": self.reason,
            "broken": self._broken,
            "good_step": self._good_step,
            "good_is_present": equal,
            "good": None if equal else self._good,
        }

    def load_state_dict(self, state: Mapping[str, Any], step: int) -> None:
        """The inverse of `state_dict`, once what is learned was loaded."""
        self.rollbacks, self.reason, self._broken = state["rollbacks"], state["reason"], state["broken"]
        self._good_step = state["good_step"]
        self._equal_at = step if state["good_is_present"] else None
        self._good = _copy(self._learned.state_dict()) if state["good_is_present"] else state["good"]


def _copy(state: dict[str, Any]) -> dict[str, Any]:
    return tree_map_only(Tensor, lambda tensor: tensor.detach().to("cpu", copy=True), state)
