"""What a policy was seen to do, kept for several updates and for the discriminator's."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from textgan.shards import Store, current


class Experience(Store):
    """Named tensors with a row a prompt; all are replaced at once. Every one is a buffer, so a checkpoint holds it.

    Args:
        size: most rows.
        tokens: names of int64 tensors, with the shape of a row.
        numbers: names of float32 tensors, with the shape of a row.
    """

    _count: Tensor
    _place: Tensor
    _left: Tensor

    def __init__(self, size: int, tokens: dict[str, tuple[int, ...]], numbers: dict[str, tuple[int, ...]]) -> None:
        super().__init__()
        self._names = (*tokens, *numbers)
        for shapes, dtype in ((tokens, torch.int64), (numbers, torch.float32)):
            for name, shape in shapes.items():
                self.register_buffer(name, torch.zeros(size, *shape, dtype=dtype))
        for name in ("_count", "_place", "_left"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))

    @property
    def is_spent(self) -> bool:
        """Every row was taken as often as was said when they came."""
        return self._left.item() == 0

    def fill(self, passes: int, part: int, **rows: Tensor) -> None:
        """Replace everything by these rows, to be taken `passes` times in parts of so many."""
        count = len(next(iter(rows.values())))
        assert rows.keys() == {*self._names}, rows.keys() ^ {*self._names}
        for name, values in rows.items():
            self.get_buffer(name)[:count] = values
        self._count.fill_(count)
        self._place.zero_()
        self._left.fill_(passes * math.ceil(count / (part * current().count)))

    def take(self, part: int) -> dict[str, Tensor]:
        """The next rows by name, for an update of those that `fill` has announced."""
        self._left -= 1
        return self.draw(part)

    def draw(self, part: int) -> dict[str, Tensor]:
        """The next rows by name, round and round: at most `part` and all there are."""
        count = int(self._count)
        part = min(part, count)
        shard = current()
        places = (self._place + shard.index * part + torch.arange(part, device=self._place.device)) % count
        self._place += shard.count * part
        return {name: self.get_buffer(name)[places] for name in self._names}
