"""The generator of ScratchGAN (de Masson d'Autume et al., 2019): LSTMs whose output layer is tied to the word vectors.

A word's vector has two parts: one that is drawn once, or would be read from a file of vectors, and never learns, and
one that does. Both halves of an adversarial game can use such vectors.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.spec import TextSpec
from textgan.networks.recurrent import lstm_step
from textgan.networks.text_generator import EmbeddingGenerator


class PartlyFrozenEmbedding(nn.Module):
    """Vectors of `frozen` + `learned` numbers, drawn from N(0, 1 / their number); the first part is a buffer."""

    frozen: Tensor

    def __init__(self, vocab_size: int, frozen: int, learned: int) -> None:
        super().__init__()
        self.size = frozen + learned
        self.register_buffer("frozen", torch.randn(vocab_size, frozen) * self.size**-0.5)
        self.learned = nn.Parameter(torch.randn(vocab_size, learned) * self.size**-0.5)

    @property
    def weight(self) -> Float[Tensor, "vocab size"]:
        """The vectors of all tokens."""
        return torch.cat([self.frozen, self.learned], 1)

    def forward(self, tokens: Int[Tensor, "*rows"]) -> Float[Tensor, "*rows size"]:
        """The vectors of these tokens."""
        return torch.cat([self.frozen[tokens], F.embedding(tokens, self.learned)], -1)


class TiedOutput(nn.Module):
    """A linear layer over the vocabulary whose weight is that of an embedding; its bias is its own."""

    def __init__(self, embedding: PartlyFrozenEmbedding) -> None:
        super().__init__()
        self._vectors = [embedding]  # in a list, so that it is not a part of this module as well
        self.bias = nn.Parameter(torch.zeros(len(embedding.learned)))

    @property
    def weight(self) -> Float[Tensor, "vocab size"]:
        """The vectors of all tokens."""
        return self._vectors[0].weight


class TiedLSTMGenerator(EmbeddingGenerator):
    """p(y_t | y_1..t-1) = softmax(E P h_t + b), h_t the output of several LSTM layers, E the vectors that they read.

    The outputs are P h_t, as wide as a word's vector.
    """

    embedding: PartlyFrozenEmbedding  # type: ignore[assignment]
    output: TiedOutput  # type: ignore[assignment]

    def __init__(
        self,
        spec: TextSpec,
        embedding: int,
        frozen: int,
        hidden: int,
        layers: int = 2,
        dropout: float = 0.0,
        condition: int = 0,
    ) -> None:
        size = frozen + embedding
        super().__init__(spec, size, size, dropout, condition)
        self.embedding = PartlyFrozenEmbedding(spec.vocab_size, frozen, embedding)
        self.output = TiedOutput(self.embedding)
        self.hidden = hidden
        self.layers = nn.ModuleList(nn.LSTM(hidden if i else size, hidden, batch_first=True) for i in range(layers))
        self.projection = nn.Linear(hidden, size)

    def train(self, mode: bool = True) -> TiedLSTMGenerator:
        """Dropout's mode. The LSTMs, which have none of their own, stay as cuDNN wants them to give gradients."""
        super().train(mode)
        self.layers.train()
        return self

    def begin(self, rows: int) -> tuple[tuple[Tensor, Tensor], ...]:
        """The state before anything is read: h and c of each layer."""
        zeros = self.never.new_zeros(rows, self.hidden)
        return ((zeros, zeros),) * len(self.layers)

    def read(
        self, inputs: Float[Tensor, "rows embedding"], state: tuple[tuple[Tensor, Tensor], ...]
    ) -> tuple[tuple[Tensor, Tensor], ...]:
        """The state after one more input."""
        reached = []
        for layer, before in zip(self.layers, state, strict=True):
            assert isinstance(layer, nn.LSTM)
            reached.append(lstm_step(layer, inputs, before))
            inputs = reached[-1][0]
        return tuple(reached)

    def output_of(self, state: tuple[tuple[Tensor, Tensor], ...]) -> Float[Tensor, "rows width"]:
        """P h."""
        return self.projection(state[-1][0])

    def outputs_embedded(self, inputs: Float[Tensor, "batch length embedding"]) -> Float[Tensor, "batch length width"]:
        """P h after each input of whole rows."""
        for layer in self.layers:
            inputs = layer(inputs)[0]
        return self.projection(inputs)
