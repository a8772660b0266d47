"""Reusable sets of generated samples, so that a discriminator need not ask for fresh ones at every step."""

from __future__ import annotations

import torch
from torch import Tensor

from textgan.shards import Store, current


class Pool(Store):
    """Holds `size` samples of one shape; new ones replace the oldest.

    Its contents and both of its places are buffers, so a checkpoint of the game holds them.
    """

    items: Tensor
    _written: Tensor
    _read: Tensor

    def __init__(self, size: int, *shape: int, dtype: torch.dtype = torch.int32) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("items", torch.zeros(size, *shape, dtype=dtype))
        self.register_buffer("_written", torch.zeros((), dtype=torch.int64))
        self.register_buffer("_read", torch.zeros((), dtype=torch.int64))

    @property
    def is_empty(self) -> bool:
        """Nothing was put in yet."""
        return self._written.item() == 0

    @property
    def held(self) -> int:
        """Samples that are in it."""
        return min(int(self._written), self.size)

    def add(self, samples: Tensor) -> None:
        """Put in `samples` ``(n, ...)``, n <= size, in place of the oldest."""
        self.items[self._places(self._written, len(samples))] = samples.to(self.items.dtype)
        self._written += len(samples)

    def draw(self, n: int) -> Tensor:
        """The next `n` samples ``(n, ...)``, round and round: each comes once before any comes again.

        Every shard of a step has samples of its own; all must draw equally many.
        """
        shard = current()
        places = self._places(self._read + shard.index * n, n)
        self._read += shard.count * n
        return self.items[places]

    def _places(self, start: Tensor, n: int) -> Tensor:
        return (start + torch.arange(n, device=self.items.device)) % self.size
