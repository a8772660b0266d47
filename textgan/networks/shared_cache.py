"""Caches of keys and values for `transformers` models whose rows share what they continue.

Rows are forks of a few contexts. Keys and values of a context are held once; a row of which ``owner`` says the context
is handed a copy of them by a layer's cache when that layer attends, and the copy goes when it has.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

Keys = tuple[Tensor, ...]
"""Keys, or values, of each layer: ``(rows, heads, tokens, size)``."""


class SharedPrefixLayer(DynamicLayer):
    """Self-attention of one layer: each row sees its context's keys and values, then its own, which alone it keeps."""

    def __init__(self, owner: Tensor, prefix_keys: Tensor, prefix_values: Tensor, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.owner, self.prefix_keys, self.prefix_values = owner, prefix_keys, prefix_values
        self.keys: Tensor = keys
        self.values: Tensor = values
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Takes in the new keys and values; gives all that are attended to."""
        self.keys = torch.cat([self.keys, key_states], 2)
        self.values = torch.cat([self.values, value_states], 2)
        keys = torch.cat([self.prefix_keys[self.owner], self.keys], 2)
        return keys, torch.cat([self.prefix_values[self.owner], self.values], 2)

    def get_seq_length(self) -> int:
        """Tokens that each row has read, its context's padding included."""
        return self.prefix_keys.shape[2] + self.keys.shape[2]


class ContextLayer(DynamicLayer):
    """Cross-attention of one layer: each row sees its context's keys and values; there will be no others."""

    def __init__(self, owner: Tensor, keys: Tensor, values: Tensor) -> None:
        self.owner, self.of_contexts = owner, (keys, values)
        self.is_initialized = True

    @property
    def keys(self) -> Tensor:  # type: ignore[override]
        """The keys of the rows' contexts."""
        return self.of_contexts[0][self.owner]

    @property
    def values(self) -> Tensor:  # type: ignore[override]
        """The values of the rows' contexts."""
        return self.of_contexts[1][self.owner]

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
