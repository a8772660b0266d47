"""The gradient of a loss over a whole batch: in shards and micro-batches, by all processes, in lower precision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from textgan.errors import UserError
from textgan.game import Game, Loss, Turn
from textgan.precision import bfloat16
from textgan.processes import Processes
from textgan.shards import Buffers, Shard, playing, seed_place


class Gradients:
    """Computes them for a game, on this process's part of every batch.

    Args:
        shards: equal parts of a batch (see `textgan.shards`). None: one for each process.
        micro_batch: most examples of a backward pass. None: all of a shard.
        precision: bf16 runs losses under autocast.

    Raises:
        UserError: the processes do not divide the shards, or these the batch.
    """

    def __init__(
        self,
        game: Game,
        processes: Processes,
        shards: int | None = None,
        micro_batch: int | None = None,
        precision: Literal["fp32", "bf16"] = "fp32",
    ) -> None:
        self._game, self._processes = game, processes
        self._micro_batch, self._lower = micro_batch, precision == "bf16"
        self._count = shards or processes.size
        _check_divisible(self._count, processes.size, game.batch_size)
        each = self._count // processes.size
        self.shards = [Shard(processes.rank * each + i, self._count) for i in range(each)]
        """Those that this process plays."""
        share = game.batch_size // processes.size
        self.own = slice(processes.rank * share, (processes.rank + 1) * share)
        """This process's examples among those of a batch."""
        self.seed = torch.initial_seed()
        """What the random numbers of shards follow from."""

    def leave(
        self,
        loss: Callable[[Any, Turn], Loss],
        batch: Any,
        turn: Turn,
        mover: Sequence[nn.Parameter],
        moment: tuple[int, ...],
    ) -> dict[str, Tensor]:
        """Adds the gradient of the loss's mean over a batch to that of the mover's weights.

        Of the batch, `batch` is this process's `own` part. Returns the values of its terms and of what it tells, means
        too. At a `moment` of its own a step in several shards has random numbers of its own.
        """
        values: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self._processes.device))
        buffers = Buffers(self._game) if self._count > 1 else None
        size = self._game.batch_size // self._count
        for number, shard in enumerate(self.shards):
            own = _slice(batch, number * size, size)
            with self._playing(shard, buffers, moment):
                for part, share, is_last in _split(own, self._micro_batch):
                    weight = self._processes.size * share / shard.count  # the processes' means are taken afterwards
                    synchronises = is_last and shard is self.shards[-1]
                    with self._processes.synchronised(self._game, mover, synchronises) as call:
                        with bfloat16(self._processes.device, self._lower):
                            found = call(loss, _to(part, self._processes.device), turn)
                        (weight * torch.stack([term.float() for term in found.terms.values()]).sum()).backward()
                    for name, value in {**found.terms, **found.info}.items():
                        values[name] = values[name] + weight * value.detach().float()
        if buffers is not None:
            buffers.join()
            self._processes.mean([*buffers.statistics, *values.values()])
            self._processes.as_first(buffers.examples)
        return values

    def seed_whole(self, moment: tuple[int, ...]) -> None:
        """What belongs to no shard has, at a moment, the same random numbers on every process."""
        if self._count > 1:
            seed_place(self.seed, *moment, self._count)

    @contextmanager
    def _playing(self, shard: Shard, buffers: Buffers | None, moment: tuple[int, ...]) -> Iterator[None]:
        """Inside, random numbers and buffers are the shard's, where there are several."""
        if buffers is None:
            yield
            return
        seed_place(self.seed, *moment, shard.index)
        with playing(shard), buffers.of_one_more():
            yield


def _check_divisible(shards: int, processes: int, batch_size: int) -> None:
    if shards % processes:
        raise UserError(f"trainer.shards is {shards}; it must be a multiple of the number of processes, {processes}")
    if batch_size % shards:
        raise UserError(f"game.batch_size is {batch_size}; it must be a multiple of the number of shards, {shards}")


def _to(batch: Any, device: torch.device) -> Any:
    """The batch on the device. From pinned memory a GPU takes it while the host prepares what comes next."""

    def moved(tensor: Tensor) -> Tensor:
        pinned = tensor.pin_memory() if device.type == "cuda" and tensor.device.type == "cpu" else tensor
        return pinned.to(device, non_blocking=True)

    return tree_map_only(Tensor, moved, batch)


def _split(batch: Any, size: int | None) -> Iterator[tuple[Any, float, bool]]:
    """`batch` in parts of at most `size` examples, each with its share of the whole, and whether it is the last."""
    n = len(tree_leaves(batch)[0])
    size = size or n
    for start in range(0, n, size):
        yield _slice(batch, start, size), min(size, n - start) / n, start + size >= n


def _slice(batch: Any, start: int, size: int) -> Any:
    return tree_map_only(Tensor, lambda tensor: tensor[start : start + size], batch)
