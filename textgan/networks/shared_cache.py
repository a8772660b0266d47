"""Caches of keys and values for `transformers` models whose rows share the contexts that they continue."""

from __future__ import annotations

from typing import TypeAlias

from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from textgan.networks.key_cache import Kept
from textgan.networks.shared_rows import Owners, Shared, SharedRows

Keys: TypeAlias = tuple[Tensor, ...]
"""Keys, or values, of each layer: ``(rows, heads, tokens, size)``."""


class SharedPrefixLayer(DynamicLayer):
    """Self-attention of one layer: each row sees its context's keys and values, then its own, which alone it keeps."""

    def __init__(self, owners: Owners, prefix_keys: Tensor, prefix_values: Tensor, kept: Kept) -> None:
        super().__init__()
        self.owners, self.prefix_keys, self.prefix_values, self.kept = owners, prefix_keys, prefix_values, kept
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Takes in the new keys and values; gives all that are attended to."""
        self.kept = self.kept.read(key_states, value_states)
        keys = SharedRows(Shared(self.prefix_keys, self.owners, self.kept.keys))
        return keys, SharedRows(Shared(self.prefix_values, self.owners, self.kept.values))

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
        return SharedRows(Shared(self.of_contexts[0], self.owners))

    @property
    def values(self) -> Tensor:  # type: ignore[override]
        """The values of the rows' contexts."""
        return SharedRows(Shared(self.of_contexts[1], self.owners))

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
