"""Plays games with another process of its kind, which it starts: ``python -m tests.processes.peers FOLDER [NAME...]``.

The first process writes what each game has learned into the folder, the others whether theirs is the same.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from tests.games.test_every_game import CONFIG, N, batches_of, first_spec
from tests.toys import weights
from textgan import registry
from textgan.data.batches import Batches
from textgan.inference import samples_of
from textgan.processes import Processes, join
from textgan.reproducibility import seed_everything
from textgan.trainer import Trainer


class InFloat64:
    """A split, its numbers in the type that networks are built in."""

    def __init__(self, split: Any) -> None:
        self.split = split

    def __len__(self) -> int:
        return N

    def take(self, indices: Tensor) -> Any:
        def exact(x: Tensor) -> Tensor:
            return x.double() if x.is_floating_point() else x

        return tree_map_only(Tensor, exact, self.split.take(indices))


@contextmanager
def full_precision_is_float64() -> Iterator[None]:
    """Inside, networks are built in float64, and so is what is computed in full precision, which is ``x.float()``."""
    single = Tensor.float
    torch.set_default_dtype(torch.float64)
    Tensor.float = Tensor.double  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Tensor.float = single  # type: ignore[method-assign]
        torch.set_default_dtype(torch.float32)


def learned(name: str, processes: Processes | None = None) -> dict[str, Tensor]:
    """What a game has learned in two shards, by all of these processes, in float64; a game of text draws too."""
    with full_precision_is_float64():
        entry, spec = registry.find(name), first_spec(name)
        seed_everything(0)
        game = entry.game(entry.tiny, spec)
        batches = Batches(InFloat64(batches_of(spec, entry.game.data)), 0)
        config = dataclasses.replace(CONFIG, shards=2)
        trainer = Trainer(game, batches, config, processes=processes)
        trainer.play()
        found = weights(game)
        if entry.game.data == "text":
            found["drawn"] = trainer._crew.lead(lambda: samples_of(game, 7, rows=3))
        return found


def main(folder: str, *names: str) -> None:
    torch.set_num_threads(1)
    processes = join("cpu", devices=2, nodes=1)
    for name in names:
        mine = learned(name, processes)
        if processes.is_first:
            torch.save(mine, Path(folder) / f"{name}.pt")
        theirs = {key: value.clone() for key, value in mine.items()}
        processes.as_first(list(theirs.values()))
        same = all(torch.equal(value, mine[key]) for key, value in theirs.items())
        (Path(folder) / f"{name}.{processes.rank}").write_text("same" if same else "different")
    processes.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
