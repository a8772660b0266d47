"""A small transformer (Vaswani et al., 2017; normalised before each part), as generator and as discriminator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from textgan.data.spec import TextSpec
from textgan.networks.key_cache import Kept, KeyCache
from textgan.networks.text_discriminator import TextDiscriminator, within
from textgan.networks.text_generator import EmbeddingGenerator


class Block(nn.Module):
    """Self-attention and a feed-forward part of four times the width, each added to what comes in."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.forward_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.queries = nn.Linear(size, size)
        self.keys = nn.Linear(size, size, bias=False)  # a bias would be the same for all keys: softmax does not see it
        self.values = nn.Linear(size, size)
        self.joined = nn.Linear(size, size)
        self.feed_forward = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))
        self.dropout = nn.Dropout(dropout)

    def keys_and_values(
        self, x: Float[Tensor, "rows n size"]
    ) -> tuple[Float[Tensor, "rows heads n part"], Float[Tensor, "rows heads n part"]]:
        """What others see of these places."""
        normed = self.attention_norm(x)
        return self._split(self.keys(normed)), self._split(self.values(normed))

    def forward(
        self,
        x: Float[Tensor, "rows n size"],
        keys: Float[Tensor, "rows heads m part"],
        values: Float[Tensor, "rows heads m part"],
        mask: Bool[Tensor, "#rows #heads #n m"] | None = None,
    ) -> Float[Tensor, "rows n size"]:
        """x after it has attended to the places of `keys` that the mask allows."""
        queries = self._split(self.queries(self.attention_norm(x)))
        found = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        x = x + self.dropout(self.joined(found.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.feed_forward(self.forward_norm(x)))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Blocks(nn.ModuleList):
    """Layers of blocks."""

    def __init__(self, layers: int, size: int, heads: int, dropout: float) -> None:
        super().__init__(Block(size, heads, dropout) for _ in range(layers))

    def __iter__(self) -> Iterator[Block]:
        return super().__iter__()  # type: ignore[return-value]


class TransformerState(NamedTuple):
    """One row a sentence; t tokens have been read."""

    output: Tensor
    """``(rows, size)``."""
    kept: tuple[Kept, ...]
    """Keys and values of each layer."""


class TransformerGenerator(EmbeddingGenerator):
    """A decoder-only transformer with learned positions; reading token by token keeps keys and values."""

    def __init__(
        self,
        spec: TextSpec,
        size: int,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        condition: int = 0,
    ) -> None:
        super().__init__(spec, size, size, dropout, condition)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.positions = nn.Parameter(torch.randn(spec.length, size) * 0.02)
        self.blocks = Blocks(layers, size, heads, dropout)
        self.norm = nn.LayerNorm(size)

    def begin(self, rows: int) -> TransformerState:
        """The state before anything is read."""
        none, most = self.never.new_zeros(rows, self.width), self.spec.length
        caches = (KeyCache.empty(rows, block.heads, self.width // block.heads, most, none) for block in self.blocks)
        return TransformerState(none, tuple(caches))

    def read(self, inputs: Float[Tensor, "rows embedding"], state: TransformerState) -> TransformerState:
        """The state after one more input. Past the last position, which a finished sentence may be read to, stays."""
        position = min(state.kept[0].tokens, self.spec.length - 1)
        x = (inputs + self.positions[position])[:, None]
        kept = []
        for block, before in zip(self.blocks, state.kept, strict=True):
            now = before.read(*block.keys_and_values(x))
            kept.append(now)
            x = block(x, now.keys, now.values)
        return TransformerState(self.norm(x[:, 0]), tuple(kept))

    def output_of(self, state: TransformerState) -> Float[Tensor, "rows width"]:
        """The last layer's output at the last token."""
        return state.output

    def outputs_embedded(self, inputs: Float[Tensor, "batch length embedding"]) -> Float[Tensor, "batch length width"]:
        """The last layer's output at each place; each sees itself and those before it."""
        length = inputs.shape[1]
        x = inputs + self.positions[:length]
        before = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()[None, None]
        for block in self.blocks:
            x = block(x, *block.keys_and_values(x), before)
        return self.norm(x)


class TransformerDiscriminator(TextDiscriminator):
    """A bidirectional transformer; the features are the mean over the sentence's places of the last layer's output."""

    def __init__(
        self,
        spec: TextSpec,
        size: int,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        outputs: int = 1,
    ) -> None:
        super().__init__(spec, size, size, dropout, outputs)
        self.positions = nn.Parameter(torch.randn(spec.length, size) * 0.02)
        self.blocks = Blocks(layers, size, heads, dropout)
        self.norm = nn.LayerNorm(size)

    def features_embedded(
        self,
        inputs: Float[Tensor, "batch length embedding"],
        lengths: Int[Tensor, " batch"] | None = None,
        shared: int = 0,
        copies: int = 1,
    ) -> Float[Tensor, "batch size"]:
        """The mean of the last layer's outputs over the sentence."""
        x = inputs + self.positions[: inputs.shape[1]]
        inside = within(inputs, None if lengths is None else lengths.clamp(min=1))
        for block in self.blocks:
            x = block(x, *block.keys_and_values(x), inside.transpose(1, 2)[:, None])
        return (self.norm(x) * inside).sum(1) / inside.sum(1)
