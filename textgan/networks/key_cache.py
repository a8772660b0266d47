"""Keys and values of attention, kept while sentences are read token by token, where they stay until the end."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


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

    def joined(self, others: KeyCache, rows: int) -> KeyCache:
        """Together with further rows, which have read as many tokens. There will be `rows` in the end."""
        total = len(self) + len(others)
        room = self._room
        if room is None or (room.rows, room.tokens) != (len(self), self.tokens) or total > room.table.shape[1]:
            room = self._moved(max(rows, total), others.keys)
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

    def repeat_interleave(self, copies: int, dim: int) -> KeyCache:
        """Each row several times."""
        keys, values = (x.repeat_interleave(copies, dim) for x in (self.keys, self.values))
        return KeyCache(keys, values, self.most)

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
