"""Batches of real examples in an order of their own, which nothing else that draws random numbers can disturb."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int, Int32
from torch import Tensor


@runtime_checkable
class Rows(Protocol):
    """What can be sampled: a split of any corpus, the oracle's too."""

    def __len__(self) -> int: ...
    def take(self, indices: Int[Tensor, " n"]) -> Any: ...


class Batches:
    """Goes through a split again and again: every example once an epoch, in an order fixed by (seed, epoch).

    The order is 4 bytes an example in memory, and all that grows with the split, which has fewer than 2^31 examples.
    """

    def __init__(self, split: Rows, seed: int) -> None:
        self._split = split
        self._seed = seed % 2**64
        self._epoch = 0
        self._position = 0
        self._order = self._permutation()

    def next(self, n: int, part: slice = slice(None)) -> Any:
        """The next `n` examples, as the split gives them, or the `part` of them that this process needs.

        What the epoch lacks at its end comes from the next one.
        """
        order = []
        missing = n
        while missing:
            if self._position == len(self._order):
                self._epoch, self._position = self._epoch + 1, 0
                self._order = self._permutation()
            order.append(self._order[self._position : self._position + missing])
            self._position += len(order[-1])
            missing -= len(order[-1])
        return self._split.take(torch.cat(order)[part].long())

    def state_dict(self) -> dict[str, int]:
        """Epochs that lie behind and examples of this epoch that do."""
        return {"epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on where `state` was taken. The split and the seed must be the same."""
        assert 0 <= state["position"] <= len(self._order), state
        self._epoch, self._position = state["epoch"], state["position"]
        self._order = self._permutation()

    def _permutation(self) -> Int32[Tensor, " n"]:
        order = np.arange(len(self._split), dtype=np.int32)
        np.random.default_rng([self._seed, self._epoch]).shuffle(order)  # as `permutation` does with 8 bytes a number
        return torch.from_numpy(order)
