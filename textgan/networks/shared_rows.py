"""Rows that share what they continue: a tensor of theirs that is put together only if need be.

Rows are forks of a few contexts. What belongs to a context is held once, and its rows attend to it together, by one
product of matrices. Who attends is given `SharedRows` where it would see a tensor of keys or of values: for torch's own
attention (``F.scaled_dot_product_attention``) nothing is copied; whoever does anything else with them is handed a
tensor in which each row has a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils._pytree import tree_map


class Owners:
    """Which context each row continues. Stands in a state where a tensor would.

    Args:
        of: numbers of contexts.
        contexts: how many there are.
        most: rows that a context has, or more. None: that is looked up, for which a GPU's host must wait.
    """

    def __init__(self, of: Int[Tensor, " rows"], contexts: int, most: int | None = None) -> None:
        self.of, self.contexts, self._most = of, contexts, most
        self.copied = False
        """Whether somebody wanted a copy of a context for each row."""

    def __len__(self) -> int:
        """Rows."""
        return len(self.of)

    @property
    def device(self) -> torch.device:
        """Where the numbers are."""
        return self.of.device

    def __getitem__(self, rows: Tensor | slice) -> Owners:
        """Some rows."""
        return Owners(self.of[rows], self.contexts)

    def repeat_interleave(self, copies: int, dim: int) -> Owners:
        """Each row several times."""
        most = None if self._most is None else self._most * copies
        return Owners(self.of.repeat_interleave(copies, dim), self.contexts, most)

    def joined(self, others: Owners, rows: int) -> Owners:
        """Together with further rows."""
        most = None if self._most is None or others._most is None else self._most + others._most
        return Owners(torch.cat([self.of, others.of]), self.contexts, most)

    def with_room(self, rows: int) -> Owners:
        """The same: there is nothing to have room for."""
        return self

    def together(self, x: Float[Tensor, "rows heads n size"]) -> Float[Tensor, "contexts heads places size"]:
        """The rows of each context side by side. Contexts that have fewer are filled up with rows of others."""
        places = x[self._row_at].unflatten(0, (self.contexts, -1))
        return places.transpose(1, 2).flatten(2, 3)

    def apart(self, x: Float[Tensor, "contexts heads places size"], n: int) -> Float[Tensor, "rows heads n size"]:
        """What `together` has put side by side, a row each again."""
        return x.unflatten(2, (-1, n)).transpose(1, 2).flatten(0, 1)[self._place_of]

    @cached_property
    def _place_of(self) -> Tensor:
        """Each row's place: places of a context follow one another."""
        order = self.of.argsort(stable=True)
        counts = torch.zeros(self.contexts, dtype=torch.int64, device=self.device)
        counts = counts.index_add(0, self.of, torch.ones_like(self.of))
        if self._most is None:
            self._most = int(counts.max())
        before = counts.cumsum(0) - counts
        owner = self.of[order]
        places = owner * self._most + torch.arange(len(order), device=self.device) - before[owner]
        return torch.empty_like(order).scatter(0, order, places)

    @cached_property
    def _row_at(self) -> Tensor:
        """The row at each place."""
        place_of = self._place_of
        assert self._most is not None
        rows = place_of.new_zeros(self.contexts * self._most)
        return rows.scatter(0, place_of, torch.arange(len(place_of), device=self.device))


class Shared(NamedTuple):
    """What some rows have of their contexts and, behind it, of their own."""

    of_contexts: Tensor
    """``(contexts, heads, tokens, size)``; or other sizes, where nothing is a row's own."""
    owners: Owners
    own: Tensor | None = None
    """``(rows, heads, further tokens, size)``; these may be `SharedRows` too."""

    def whole(self) -> Tensor:
        """A tensor, with copies."""
        self.owners.copied = True
        rows = self.of_contexts[self.owners.of]
        return rows if self.own is None else torch.cat([rows, self.own], 2)


class SharedRows(Tensor):
    """A tensor of rows that share: it is put together only if need be.

    Args:
        parts: of rows that stand one below the other, and share different things.
    """

    parts: tuple[Shared, ...]

    @staticmethod
    def __new__(cls, *parts: Shared) -> SharedRows:
        """Nothing is computed."""
        of_contexts, _, own = parts[0]
        shape = [sum(len(part.owners) for part in parts), *of_contexts.shape[1:]]
        if own is not None:
            shape[2] += own.shape[2]
        made = Tensor._make_wrapper_subclass(cls, shape, dtype=of_contexts.dtype, device=of_contexts.device)
        made.parts = parts
        return made

    @property
    def rows(self) -> list[int]:
        """Of each part."""
        return [len(part.owners) for part in self.parts]

    def whole(self) -> Tensor:
        """The tensor, with copies."""
        parts = [part.whole() for part in self.parts]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """What a function finds: attention without copies, other functions by the whole tensor."""
        kwargs = kwargs or {}
        if function in _ABOUT:
            with torch._C.DisableTorchFunctionSubclass():
                return function(*args, **kwargs)
        if function is F.scaled_dot_product_attention and len(args) == 3 and not kwargs.get("is_causal"):
            query, key, value = args
            if isinstance(key, cls) and isinstance(value, cls) and not isinstance(query, cls):
                return _attended(query, key, value, **kwargs)
        args, kwargs = tree_map(lambda x: x.whole() if isinstance(x, cls) else x, (args, kwargs))
        return function(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Never: gradients would be lost."""
        raise TypeError(f"{function} does not know of rows that share")


_ABOUT: set[Any] = {getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim")}
_ABOUT |= {Tensor.size, Tensor.dim, Tensor.__len__}
"""What may be asked about a tensor without looking into it."""


def _attended(
    query: Float[Tensor, "rows heads n size"],
    key: SharedRows,
    value: SharedRows,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Float[Tensor, "rows heads n size"]:
    """``F.scaled_dot_product_attention``, with its arguments, where rows share keys and values."""
    heads, n, size = query.shape[1:]
    query = query * (size**-0.5 if scale is None else scale)
    if key.shape[1] != heads:  # queries of several heads ask one head of keys
        query, attn_mask = _by_heads_of_keys(query, attn_mask, key.shape[1])
    scores = _scores(query, key)
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    found = _mixed(F.dropout(scores.softmax(-1), dropout_p), value)
    return found if found.shape[2] == n else found.unflatten(2, (-1, n)).flatten(1, 2)


def _scores(query: Float[Tensor, "rows heads n size"], key: Tensor) -> Float[Tensor, "rows heads n tokens"]:
    """Products of queries and keys."""
    if not isinstance(key, SharedRows):
        return query @ key.transpose(2, 3)
    found = []
    for rows, (of_contexts, owners, own) in zip(query.split(key.rows), key.parts, strict=True):
        scores = owners.apart(owners.together(rows) @ of_contexts.transpose(2, 3), query.shape[2])
        found.append(scores if own is None else torch.cat([scores, _scores(rows, own)], -1))
    return torch.cat(found)


def _mixed(weights: Float[Tensor, "rows heads n tokens"], value: Tensor) -> Float[Tensor, "rows heads n size"]:
    """Sums of values."""
    if not isinstance(value, SharedRows):
        return weights @ value
    found = []
    for rows, (of_contexts, owners, own) in zip(weights.split(value.rows), value.parts, strict=True):
        shared = of_contexts.shape[2]
        mixed = owners.apart(owners.together(rows[..., :shared]) @ of_contexts, weights.shape[2])
        found.append(mixed if own is None else mixed + _mixed(rows[..., shared:], own))
    return torch.cat(found)


def _by_heads_of_keys(query: Tensor, mask: Tensor | None, heads: int) -> tuple[Tensor, Tensor | None]:
    """Queries of all heads that ask the same keys one after the other."""
    copies = query.shape[1] // heads
    if mask is not None:
        mask = mask.expand(-1, copies * heads if mask.shape[1] > 1 else copies, query.shape[2], -1)
        mask = mask.unflatten(1, (-1, copies)).flatten(2, 3)
    return query.unflatten(1, (heads, copies)).flatten(2, 3), mask
