"""Caches of keys and values for `transformers` models whose rows share what they continue.

Rows are forks of a few contexts. Keys and values of a context are held once, and its rows attend to them together, by
one product of matrices. A model sees `SharedRows` where it would see a tensor: for torch's own attention
(``F.scaled_dot_product_attention``) nothing is copied; whoever does anything else with them is handed a tensor in which
each row has a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils._pytree import tree_map
from transformers.cache_utils import Cache, DynamicLayer

from textgan.networks.key_cache import KeyCache

Keys: TypeAlias = tuple[Tensor, ...]
"""Keys, or values, of each layer: ``(rows, heads, tokens, size)``."""


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


class SharedRows(Tensor):
    """What each row has of its context and, behind it, of its own: a tensor that is put together only if need be.

    Args:
        of_contexts: ``(contexts, ...)``.
        owners: which of them each row has.
        own: what is joined to it, on dimension 2.
    """

    of_contexts: Tensor
    owners: Owners
    own: Tensor | None

    @staticmethod
    def __new__(cls, of_contexts: Tensor, owners: Owners, own: Tensor | None = None) -> SharedRows:
        """Nothing is computed."""
        shape = [len(owners), *of_contexts.shape[1:]]
        if own is not None:
            shape[2] += own.shape[2]
        made = Tensor._make_wrapper_subclass(cls, shape, dtype=of_contexts.dtype, device=of_contexts.device)
        made.of_contexts, made.owners, made.own = of_contexts, owners, own
        return made

    def whole(self) -> Tensor:
        """The tensor, with copies."""
        self.owners.copied = True
        rows = self.of_contexts[self.owners.of]
        return rows if self.own is None else torch.cat([rows, self.own], 2)

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
    owners, heads, n = key.owners, query.shape[1], query.shape[2]
    if key.shape[1] != heads:  # queries of several heads ask one head of keys
        query, attn_mask = _by_heads_of_keys(query, attn_mask, key.shape[1])
    asked = query.shape[2]
    query = query * (query.shape[-1] ** -0.5 if scale is None else scale)
    scores = owners.apart(owners.together(query) @ key.of_contexts.transpose(2, 3), asked)
    if key.own is not None:
        scores = torch.cat([scores, query @ key.own.transpose(2, 3)], -1)
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    weights = F.dropout(scores.softmax(-1), dropout_p)
    shared = key.of_contexts.shape[2]
    found = owners.apart(owners.together(weights[..., :shared]) @ value.of_contexts, asked)
    if value.own is not None:
        found = found + weights[..., shared:] @ value.own
    return found if asked == n else found.unflatten(2, (-1, n)).flatten(1, 2)


def _by_heads_of_keys(query: Tensor, mask: Tensor | None, heads: int) -> tuple[Tensor, Tensor | None]:
    """Queries of all heads that ask the same keys one after the other."""
    copies = query.shape[1] // heads
    if mask is not None:
        mask = mask.expand(-1, copies * heads if mask.shape[1] > 1 else copies, query.shape[2], -1)
        mask = mask.unflatten(1, (-1, copies)).flatten(2, 3)
    return query.unflatten(1, (heads, copies)).flatten(2, 3), mask


class SharedPrefixLayer(DynamicLayer):
    """Self-attention of one layer: each row sees its context's keys and values, then its own, which alone it keeps."""

    def __init__(self, owners: Owners, prefix_keys: Tensor, prefix_values: Tensor, kept: KeyCache) -> None:
        super().__init__()
        self.owners, self.prefix_keys, self.prefix_values, self.kept = owners, prefix_keys, prefix_values, kept
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Takes in the new keys and values; gives all that are attended to."""
        self.kept = self.kept.read(key_states, value_states)
        keys = SharedRows(self.prefix_keys, self.owners, self.kept.keys)
        return keys, SharedRows(self.prefix_values, self.owners, self.kept.values)

    def get_seq_length(self) -> int:
        """Tokens that each row has read, its context's padding included."""
        return self.prefix_keys.shape[2] + self.kept.tokens


class ContextLayer(DynamicLayer):
    """Cross-attention of one layer: each row sees its context's keys and values; there will be no others."""

    def __init__(self, owners: Owners, keys: Tensor, values: Tensor) -> None:
        self.owners, self.of_contexts = owners, (keys, values)
        self.is_initialized = True

    @property
    def keys(self) -> Tensor:  # type: ignore[override]
        """The keys of the rows' contexts."""
        return SharedRows(self.of_contexts[0], self.owners)

    @property
    def values(self) -> Tensor:  # type: ignore[override]
        """The values of the rows' contexts."""
        return SharedRows(self.of_contexts[1], self.owners)

    def get_seq_length(self) -> int:
        """Tokens of the longest context."""
        return self.of_contexts[0].shape[2]


def contents(cache: Cache) -> tuple[Keys, Keys]:
    """The keys and the values of each layer. Raises ValueError for layers that keep anything else."""
    layers = [layer for layer in cache.layers if isinstance(layer, DynamicLayer)]
    keys, values = (tuple(getattr(layer, kind) for layer in layers) for kind in ("keys", "values"))
    if not keys or len(layers) < len(cache.layers):
        raise ValueError("there are layers without them")
    return keys, values
