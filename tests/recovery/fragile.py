"""A game of which the collapses, and the way back, can be worked out by hand."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from tests.toys import Gaussian
from textgan.checkpoint import CheckpointStore
from textgan.collapse import CollapseConfig, CollapseWatch, Limit
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.reproducibility import seed_everything
from textgan.trainer import Measurement, Trainer, TrainerConfig

RATE = 0.5


class Fragile(Game):
    """A point `w` descends to its data in the first move; the second, in the rounds `broken`, throws it far away.

    Rounds are counted through both stages. `poisoned` ones have a loss that is not finite in the second move.
    """

    batch_size = 8

    def __init__(self, broken: Collection[int] = (), poisoned: Collection[int] = (), noise: float = 0.0) -> None:
        super().__init__()
        self.broken, self.poisoned, self.noise = broken, poisoned, noise
        self.w = nn.Parameter(torch.zeros(2))
        self.register_buffer("descents", torch.zeros((), dtype=torch.int64))

    def optimizers(self) -> dict[str, Optimizer]:
        kind = Adam if self.noise else SGD
        return {"descent": kind([self.w], lr=RATE), "breaker": SGD([self.w], lr=RATE)}

    def stages(self) -> list[Stage]:
        moves = [Move("descent", self._descend, after=self._count), Move("breaker", self._break)]
        return [Stage("first", 4, moves), Stage("second", 6, moves)]

    def _descend(self, x: Tensor, turn: Turn) -> Loss:
        noise = self.noise * torch.randn(2) if self.noise else 0.0
        return Loss({"distance": (self.w - x + noise).square().sum(1).mean() / 2})

    def _count(self) -> None:
        self.descents += 1

    def _break(self, x: Tensor, turn: Turn) -> Loss:
        now = turn.round + (4 if turn.stage == "second" else 0)
        push = -1e4 * self.w.sum() if now in self.broken else 0.0 * self.w.sum()
        return Loss({"push": push / (0.0 if now in self.poisoned else 1.0)})


def measure(game: Game, ends_stage: bool) -> Measurement:
    """All is well where the point is near."""
    assert isinstance(game, Fragile)
    values = {"unique": 1.0 if game.w.abs().max() < 100 else 0.1, "distance": game.w.abs().max().item()}
    scores = {name: {"value": value} for name, value in values.items()}
    return Measurement(values, [{"kind": "test" if ends_stage else "metrics", "scores": scores}])


def trainer_of(
    game: Fragile,
    collapse: CollapseConfig,
    folder: Path | None = None,
    kind: type[Trainer] = Trainer,
    log: Any = lambda record: None,
    measure: Any = measure,
    **options: Any,
) -> Trainer:
    """Measures every round and, in a folder, saves at every step."""
    config = TrainerConfig(
        **{"device": "cpu", "evaluations": 100, "checkpoint_every": 0.0, "collapse": collapse, **options}
    )
    store = CheckpointStore(folder, keep=100) if folder else None
    watch = CollapseWatch({"unique": 1.0}, [Limit("unique", worst=0.0)], [])
    seed_everything(0)
    return kind(game, Gaussian(), config, store, log, measure, watch)


def by_hand(rates: list[float], broken: Collection[int]) -> Tensor:
    """Where the point ends: `rates` of the rounds, of which those `broken` are undone."""
    batches = Gaussian()
    w = torch.zeros(2)
    for now, rate in enumerate(rates):
        descended = w - rate * (w - batches.next(8).mean(0))
        batches.next(8)
        w = w if now in broken else descended
    return w


def events(records: list[dict[str, Any]]) -> list[str]:
    return [record["message"] for record in records if record["kind"] == "event"]
