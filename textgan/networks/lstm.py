"""The LSTM generator of SeqGAN and its kin: embedding, one LSTM layer, a linear output over the vocabulary."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.spec import TextSpec
from textgan.sampling import rows_at_once

LSTMState = tuple[Tensor, Tensor]
"""Output h and cell c of each row, both ``(rows, hidden)``."""


class LSTMGenerator(nn.Module):
    """p(y_t | y_1..t-1) = softmax(output(h_t)), h_t = LSTM(h_t-1, embedding(y_t-1)), y_0 the begin mark, h_0 = 0.

    A `textgan.sampling.Policy`. Dropout acts on the embeddings and on h, in train mode only.
    Every parameter starts from N(0, init_std^2), or as torch's layers do if that is None. Parameters carry the
    names ``embedding``, ``lstm``, ``output`` and torch's LSTM layout (gates i, f, g, o).
    """

    never: Tensor

    def __init__(
        self, spec: TextSpec, embedding: int, hidden: int, dropout: float = 0.0, init_std: float | None = None
    ) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = nn.Embedding(spec.vocab_size, embedding)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.output = nn.Linear(hidden, spec.vocab_size)
        self.dropout = nn.Dropout(dropout)
        if init_std is not None:
            for parameter in self.parameters():
                nn.init.normal_(parameter, std=init_std)
        never = torch.zeros(spec.vocab_size)
        never[list(spec.never)] = -torch.inf
        self.register_buffer("never", never, persistent=False)

    def train(self, mode: bool = True) -> LSTMGenerator:
        """Dropout's mode. The LSTM, which has none of its own, stays as cuDNN wants it to give gradients."""
        super().train(mode)
        self.lstm.train()
        return self

    def start(self, rows: int) -> LSTMState:
        """The state after the begin mark."""
        zeros = self.output.weight.new_zeros(rows, self.lstm.hidden_size)
        bos = torch.full((rows,), self.spec.bos, device=zeros.device)
        return self.advance(bos, (zeros, zeros))

    def advance(self, tokens: Int[Tensor, " rows"], state: LSTMState) -> LSTMState:
        """The state after one more token."""
        return self.advance_embedded(self.embedding(tokens), state)

    def advance_embedded(self, inputs: Float[Tensor, "rows embedding"], state: LSTMState) -> LSTMState:
        """`advance` for a token given by its embedding, or by a mixture of embeddings (relaxed samples)."""
        weights = (getattr(self.lstm, name) for name in self.lstm._all_weights[0])
        return torch._VF.lstm_cell(self.dropout(inputs), state, *weights)

    def logits(self, state: LSTMState) -> Float[Tensor, "rows vocab"]:
        """Unnormalised log-probabilities of the next token."""
        if torch.is_grad_enabled():
            return self.vocabulary(state[0])
        # The same with the bias as one more column: to add it would cost a pass over all logits.
        outputs = self.dropout(state[0])
        weight = torch.cat([self.output.weight, (self.output.bias + self.never)[:, None]], 1)
        return torch.cat([outputs, torch.ones_like(outputs[:, :1])], 1) @ weight.t()

    def vocabulary(self, outputs: Float[Tensor, "*rows hidden"]) -> Float[Tensor, "*rows vocab"]:
        """Logits of the next token from the LSTM's outputs."""
        return F.linear(self.dropout(outputs), self.output.weight, self.output.bias + self.never)

    def outputs(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length hidden"]:
        """The LSTM's output before each token is read: ``vocabulary(outputs(y))[:, t]`` are the logits of y_t."""
        bos = tokens.new_full((len(tokens), 1), self.spec.bos)
        return self.lstm(self.dropout(self.embedding(torch.cat([bos, tokens[:, :-1]], 1))))[0]

    def log_probs(self, tokens: Int[Tensor, "batch length"], temperature: float = 1.0) -> Float[Tensor, "batch length"]:
        """log p(y_t | y_1..t-1) in nats under softmax(logits / temperature), differentiable; 0 at padding.

        Logits are computed for words and end marks only and, where no gradient is recorded, for a few rows at a time.
        """
        mask = tokens != self.spec.pad
        outputs, targets = self.outputs(tokens)[mask], tokens[mask]
        rows = rows_at_once(self.spec.vocab_size, tokens.device)
        if torch.is_grad_enabled():  # every row's logits are kept for the backward pass anyway
            rows = max(1, len(targets))
        parts = zip(outputs.split(rows), targets.split(rows), strict=True)
        values = torch.cat([self._log_probs(*part, temperature) for part in parts])
        return values.new_zeros(tokens.shape).masked_scatter(mask, values)

    def _log_probs(self, outputs: Tensor, targets: Tensor, temperature: float) -> Tensor:
        logits = self.vocabulary(outputs)
        if temperature != 1:
            logits = logits / temperature
        return -F.cross_entropy(logits, targets, reduction="none")
