"""Shards: equal parts of a batch that may be played by different processes, each with random numbers of its own.

A step of S shards is the same step whether one process plays them one after the other or S processes play one each:
every shard finds the buffers as they were before the step, draws from generators seeded by (seed, step, shard), and
takes of what is handed out in turn (`textgan.parts.pools`) what is its own. Gradients, losses and statistics are means
over the shards. What couples the examples of a batch (batch normalisation, a baseline) couples those of a shard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from textgan.reproducibility import seed_generators


@dataclass(frozen=True)
class Shard:
    """The place of a part of the batch among all parts."""

    index: int = 0
    count: int = 1


_playing = Shard()


def current() -> Shard:
    """The shard that is being played. Outside of a step of several shards: all of the batch."""
    return _playing


@contextmanager
def playing(shard: Shard) -> Iterator[None]:
    """Inside, `current` is this one."""
    global _playing
    before, _playing = _playing, shard
    try:
        yield
    finally:
        _playing = before


def seed_place(seed: int, *place: int) -> None:
    """Seed all generators for a place (rollbacks, step, shard); streams of different places are independent."""
    words = np.random.SeedSequence([seed, *place]).generate_state(1, np.uint64)
    seed_generators(int(words[0]) % 2**63)


class Store(nn.Module):
    """Holds examples in buffers. Of what several shards put in at one step, the first shard's is kept."""


class Buffers:
    """The buffers of a network, through a step of several shards of which this process plays some.

    Floating-point buffers (statistics of batch normalisation, moving baselines) end as the mean of what the shards have
    made of them. Counts, and all that belongs to a `Store`, end as the first shard's.
    """

    def __init__(self, network: nn.Module) -> None:
        stored = {id(b) for module in network.modules() if isinstance(module, Store) for b in module.buffers()}
        buffers = list(network.buffers())
        self.statistics = [b for b in buffers if b.is_floating_point() and id(b) not in stored]
        self.examples = [b for b in buffers if not b.is_floating_point() or id(b) in stored]
        self._before = [b.clone() for b in (*self.statistics, *self.examples)]
        self._sums = [torch.zeros_like(b) for b in self.statistics]
        self._first: list[Tensor] = []
        self._count = 0

    @contextmanager
    def of_one_more(self) -> Iterator[None]:
        """One more shard is played inside; it finds the buffers as they were."""
        _put(self._before, [*self.statistics, *self.examples])
        yield
        for total, buffer in zip(self._sums, self.statistics, strict=True):
            total += buffer
        if self._count == 0:
            self._first = [b.clone() for b in self.examples]
        self._count += 1

    def join(self) -> None:
        """The buffers are now what the shards of this process have made of them together."""
        _put([total / self._count for total in self._sums], self.statistics)
        _put(self._first, self.examples)


@torch.no_grad()
def _put(values: Sequence[Tensor], buffers: Sequence[Tensor]) -> None:
    for value, buffer in zip(values, buffers, strict=True):
        buffer.copy_(value)
