"""The discriminator of ScratchGAN (de Masson d'Autume et al., 2019): an LSTM that scores every token."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.spec import TextSpec
from textgan.networks.tied_lstm import PartlyFrozenEmbedding


class TokenLSTM(nn.Module):
    """A logit for each token given those before it: the higher, the more real.

    The LSTM reads, normalised, a word's vector beside `positions` sines and cosines of its place (Vaswani et al.,
    2017); its outputs are normalised and thinned by dropout, in train mode only. It reads forwards: what follows a
    token, padding above all, has no say in its score.
    """

    places: Tensor

    def __init__(
        self, spec: TextSpec, embedding: int, frozen: int, hidden: int, positions: int = 8, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.embedding = PartlyFrozenEmbedding(spec.vocab_size, frozen, embedding)
        self.register_buffer("places", waves(spec.length, positions), persistent=False)
        size = self.embedding.size + self.places.shape[1]
        self.read = nn.LayerNorm(size)
        self.lstm = nn.LSTM(size, hidden, batch_first=True)
        self.found = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, 1)

    def train(self, mode: bool = True) -> TokenLSTM:
        """Dropout's mode. The LSTM, which has none of its own, stays as cuDNN wants it to give gradients."""
        super().train(mode)
        self.lstm.train()
        return self

    def forward(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length"]:
        """The logit of each token; those at padding mean nothing."""
        words = self.embedding(tokens.clamp(min=0))
        places = self.places[: tokens.shape[1]].expand(len(tokens), -1, -1)
        outputs = self.lstm(self.read(torch.cat([words, places], 2)))[0]
        return self.output(self.dropout(self.found(outputs))).squeeze(2)


def waves(length: int, size: int) -> Float[Tensor, "length waves"]:
    """Place t as sin(t / r_k) and cos(t / r_k), the r_k growing geometrically from 1 to 10,000; an even number."""
    rates = torch.exp(-math.log(10_000.0) * torch.linspace(0, 1, max(1, size // 2)))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)
