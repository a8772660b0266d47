"""The relational memory generator of RelGAN (Nie et al., ICLR 2019) on the core of Santoro et al. (2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.spec import TextSpec
from textgan.networks.text_generator import EmbeddingGenerator


class RelationalMemoryGenerator(EmbeddingGenerator):
    """A memory of slots that attend to each other and to the input; the output is all slots side by side.

    One step, with the memory M ``(slots, heads * head_size)`` and the input x projected to the same width::

        M~ = norm(M + attention(queries of M; keys and values of [M; x]))
        M~ = norm(M~ + MLP(M~))
        M' = sigmoid(f) M + sigmoid(i) tanh(M~),  f, i = affine maps of x and tanh(M)                (gates a unit each)

    The forget gates begin with a bias of 1. The first memory is an identity matrix, cut or filled with zeros to its
    width, as in the paper.
    """

    identity: Tensor

    def __init__(
        self,
        spec: TextSpec,
        embedding: int,
        slots: int = 1,
        heads: int = 2,
        head_size: int = 256,
        dropout: float = 0.0,
        condition: int = 0,
    ) -> None:
        size = heads * head_size
        super().__init__(spec, embedding, slots * size, dropout, condition)
        self.slots, self.heads = slots, heads
        self.input = nn.Linear(embedding, size)
        self.queries = nn.Linear(size, size)
        self.keys = nn.Linear(size, size, bias=False)  # a bias would be the same for all keys: softmax does not see it
        self.values = nn.Linear(size, size)
        self.attended = nn.LayerNorm(size)
        self.mlp = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size), nn.ReLU())
        self.reasoned = nn.LayerNorm(size)
        self.input_gates = nn.Linear(size, 2 * size)
        self.memory_gates = nn.Linear(size, 2 * size, bias=False)
        with torch.no_grad():
            self.input_gates.bias[:size] = 1.0
        self.register_buffer("identity", torch.eye(slots, size), persistent=False)

    def begin(self, rows: int) -> Float[Tensor, "rows slots size"]:
        """The first memory."""
        return self.identity.expand(rows, -1, -1)

    def read(
        self, inputs: Float[Tensor, "rows embedding"], state: Float[Tensor, "rows slots size"]
    ) -> Float[Tensor, "rows slots size"]:
        """The memory after one more input."""
        x = self.input(inputs)[:, None]
        seen = torch.cat([state, x], 1)
        parts = (self.queries(state), self.keys(seen), self.values(seen))
        heads = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        found = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        memory = self.attended(state + found)
        memory = self.reasoned(memory + self.mlp(memory))
        forget, take = (self.input_gates(x) + self.memory_gates(state.tanh())).sigmoid().chunk(2, -1)
        return forget * state + take * memory.tanh()

    def output_of(self, state: Float[Tensor, "rows slots size"]) -> Float[Tensor, "rows width"]:
        """All slots side by side."""
        return state.flatten(1)

    def outputs_embedded(self, inputs: Float[Tensor, "batch length embedding"]) -> Float[Tensor, "batch length width"]:
        """The memory after each input of whole rows."""
        state, found = self.begin(len(inputs)), []
        for one in inputs.unbind(1):
            state = self.read(one, state)
            found.append(self.output_of(state))
        return torch.stack(found, 1)
