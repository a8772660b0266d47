"""Keys and values of attention, kept while sentences are read token by token, where they stay until the end."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from textgan.networks.shared_rows import Owners, Shared, SharedRows

LARGEST_TABLE = 2**27
"""Bytes of a layer's keys and values up to which forks have copies on a CPU: it is quicker with a few rows."""


class Fork(NamedTuple):
    """Rows that all have read as many tokens since they went on from others."""

    owners: Owners
    """Which of the others."""
    before: KeyCache
    """Theirs."""
    since: KeyCache
    """The rows' own."""


class _Room:
    """A table that several caches are parts of, and how much of it is taken."""

    def __init__(self, table: Float[Tensor, "2 rows heads tokens part"], rows: int, tokens: int) -> None:
        self.table, self.rows, self.tokens = table, rows, tokens


class KeyCache:
    """Keys and values of one layer, for rows that have all read as many tokens. Stands in a state where a tensor would.

    Nothing changes a cache: `read` and `joined` give another one. There is room for what is still to come in the table
    behind it, though, and whoever first continues a cache writes into that, so that a token is written once and
    nothing is copied; whoever continues the same one again gets a table of its own.

    Args:
        keys, values: of the tokens read so far.
        most: tokens that a sentence may come to have.
    """

    def __init__(
        self, keys: Float[Tensor, "rows heads tokens part"], values: Float[Tensor, "rows heads tokens part"], most: int
    ) -> None:
        self.keys, self.values, self.most = keys, values, most
        self._room: _Room | None = None

    @classmethod
    def empty(cls, rows: int, heads: int, part: int, most: int, like: Tensor) -> KeyCache:
        """Of rows that have read nothing."""
        nothing = like.new_empty(rows, heads, 0, part)
        return cls(nothing, nothing, most)

    def __len__(self) -> int:
        """Rows."""
        return len(self.keys)

    @property
    def tokens(self) -> int:
        """Tokens that have been read."""
        return self.keys.shape[2]

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.keys.device

    def read(self, keys: Float[Tensor, "rows heads n part"], values: Float[Tensor, "rows heads n part"]) -> KeyCache:
        """With further tokens. Where gradients are recorded, which may need them, those read before are copied."""
        if torch.is_grad_enabled():
            return KeyCache(torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2), self.most)
        room, tokens = self._room, self.tokens + keys.shape[2]
        if room is None or (room.rows, room.tokens) != (len(self), self.tokens) or tokens > room.table.shape[3]:
            room = self._moved(len(self), keys, keys.shape[2])
        room.table[0, : len(self), :, self.tokens : tokens] = keys
        room.table[1, : len(self), :, self.tokens : tokens] = values
        room.tokens = tokens
        return self._part_of(room)

    def joined(self, others: Kept, rows: int) -> KeyCache:
        """Together with further rows, which have read as many tokens. There will be `rows` in the end."""
        total = len(self) + len(others)
        room = self._room
        if room is None or (room.rows, room.tokens) != (len(self), self.tokens) or total > room.table.shape[1]:
            room = self._moved(max(rows, total), self.keys)
        room.table[0, len(self) : total, :, : self.tokens] = others.keys
        room.table[1, len(self) : total, :, : self.tokens] = others.values
        room.rows = total
        return self._part_of(room)

    def with_room(self, rows: int) -> KeyCache:
        """The same, where as many rows will have been joined in the end."""
        return self if rows <= len(self) else self._part_of(self._moved(rows, self.keys))

    def __getitem__(self, rows: Tensor | slice) -> KeyCache:
        """Some rows."""
        return KeyCache(self.keys[rows], self.values[rows], self.most)

    def repeat_interleave(self, copies: int, dim: int) -> ForkedCache:
        """Each row several times; nothing is copied yet."""
        return ForkedCache(self.forked(copies))

    def forked(self, copies: int) -> Fork:
        """Rows that go on from these, so many from each."""
        owners = Owners(torch.arange(copies * len(self), device=self.device) // copies, len(self), copies)
        _, heads, tokens, part = self.keys.shape
        return Fork(owners, self, KeyCache.empty(len(owners), heads, part, self.most - tokens, self.keys))

    def _moved(self, rows: int, like: Tensor, more: int = 1) -> _Room:
        """A table of one's own, for as many rows, and for as many more tokens at least."""
        heads, part = like.shape[1], like.shape[3]
        table = like.new_empty(2, rows, heads, max(self.most, self.tokens + more), part)
        table[0, : len(self), :, : self.tokens] = self.keys
        table[1, : len(self), :, : self.tokens] = self.values
        return _Room(table, len(self), self.tokens)

    def _part_of(self, room: _Room) -> KeyCache:
        """What is taken of a table."""
        keys, values = room.table[:, : room.rows, :, : room.tokens]
        found = KeyCache(keys, values, self.most)
        found._room = room
        return found


class ForkedCache:
    """A `KeyCache` whose rows share what they had read when they went on from the same row: that is not copied.

    Args:
        forks: rows that stand one below the other, and went on from other rows after different numbers of tokens.
    """

    def __init__(self, *forks: Fork) -> None:
        self.forks = forks

    def __len__(self) -> int:
        """Rows."""
        return sum(self._rows)

    @property
    def tokens(self) -> int:
        """Tokens that have been read."""
        return self.forks[0].before.tokens + self.forks[0].since.tokens

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.forks[0].since.device

    @property
    def keys(self) -> SharedRows:
        """Of the tokens read so far."""
        return SharedRows(*(Shared(fork.before.keys, fork.owners, fork.since.keys) for fork in self.forks))

    @property
    def values(self) -> SharedRows:
        """Of the tokens read so far."""
        return SharedRows(*(Shared(fork.before.values, fork.owners, fork.since.values) for fork in self.forks))

    def read(self, keys: Float[Tensor, "rows heads n part"], values: Float[Tensor, "rows heads n part"]) -> ForkedCache:
        """With further tokens."""
        parts = zip(self.forks, keys.split(self._rows), values.split(self._rows), strict=True)
        return ForkedCache(*(fork._replace(since=fork.since.read(*more)) for fork, *more in parts))

    def joined(self, others: Kept, rows: int) -> ForkedCache:
        """Together with further rows, which have read as many tokens."""
        return ForkedCache(*self.forks, *(others.forks if isinstance(others, ForkedCache) else (others.forked(1),)))

    def with_room(self, rows: int) -> Kept:
        """The same, where as many rows will have been joined in the end: copies if there is room for them all.

        A GPU has copies anyway: the many small steps of forks would be a burden to it.
        """
        before = self.forks[0].before
        _, heads, _, part = before.keys.shape
        table = 2 * rows * heads * before.most * part * before.keys.element_size()
        copies = self.device.type != "cpu" or table <= LARGEST_TABLE
        return self.copied().with_room(rows) if copies else self

    def __getitem__(self, rows: Tensor | slice) -> Kept:
        """Some rows. They still share what they did if none is put before one of an earlier fork."""
        chosen = torch.arange(len(self), device=self.device)[rows]
        ends = torch.tensor(self._rows, device=self.device).cumsum(0)
        of = torch.bucketize(chosen, ends, right=True)
        if (of.diff() < 0).any():
            return self.copied()[rows]
        forks = []
        counts = torch.bincount(of, minlength=len(self.forks)).tolist()
        for fork, end, some in zip(self.forks, ends.tolist(), chosen.split(counts), strict=True):
            if len(some) or not len(chosen):
                mine = some - (end - len(fork.since))
                forks.append(Fork(fork.owners[mine], fork.before, fork.since[mine]))
        return ForkedCache(*forks)

    def repeat_interleave(self, copies: int, dim: int) -> Kept:
        """Each row several times."""
        return self.copied().repeat_interleave(copies, dim)

    def copied(self) -> KeyCache:
        """The same with a copy for each row."""
        return KeyCache(self.keys.whole(), self.values.whole(), self.forks[0].before.most)

    @property
    def _rows(self) -> list[int]:
        return [len(fork.since) for fork in self.forks]


Kept: TypeAlias = KeyCache | ForkedCache
"""What a state keeps of a layer."""
