"""The generator of story endings: a recurrent encoder-decoder, with attention or without, seen as a policy.

The encoder, a bidirectional LSTM, reads the sentences of the context as one text. The decoder, an LSTM, starts from
what the encoder knows at the ends of the text and writes the ending. With attention (Luong et al., 2015, "general")::

    a_j = softmax_j(h_t W m_j)        h~_t = tanh(U [h_t; sum_j a_j m_j])        p(y_t) = softmax(E h~_t + b)

and without it h~_t = tanh(U h_t). With copying (a pointer-generator: See et al., 2017) the attention is also a
distribution over the context's words, and a gate mixes the two::

    p(y_t) = g_t softmax(E h~_t + b) + (1 - g_t) sum_j a_j [x_j = y_t]        g_t = sigmoid(w h~_t + d)

E are the word embeddings, which encoder, decoder and output share (Press and Wolf,
2017): the words of a small corpus are learned from all three sides.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.categorical import rows_at_once
from textgan.data.spec import StorySpec
from textgan.errors import UserError
from textgan.networks.endings import StoryGenerator
from textgan.networks.recurrent import BidirectionalLSTM, ends, joined, lstm_step

TINIEST = 1e-30
"""What no probability falls below before its logarithm is taken."""

Row = dict[str, Tensor]
"""State of the rows: ``owner`` (rows,), the context that a row continues; ``h`` and ``c`` (rows, layers, hidden)."""


class Seq2Seq(StoryGenerator):
    """p(ending | context). `given` makes it a `textgan.sampling.Policy`.

    Dropout acts on embeddings, between layers and on h~, in train mode only.
    """

    never: Tensor

    def __init__(
        self,
        spec: StorySpec,
        embedding: int,
        hidden: int,
        layers: int = 1,
        dropout: float = 0.0,
        attention: bool = True,
        copy: bool = True,
    ) -> None:
        super().__init__()
        if copy and not attention:
            raise UserError("copy is True and attention is False; words are copied by attention")
        self.spec = spec
        self.hidden_size = embedding
        """Width of `Telling.outputs`."""
        self.embedding = nn.Embedding(spec.vocab_size, embedding)
        nn.init.normal_(self.embedding.weight, std=embedding**-0.5)
        self.encoder = BidirectionalLSTM(embedding, -(-hidden // 2), layers, dropout)
        self.bridge = nn.Linear(self.encoder.size, 2 * layers * hidden)
        self.decoder = nn.ModuleList(
            nn.LSTM(hidden if i else embedding, hidden, batch_first=True) for i in range(layers)
        )
        self.query = nn.Linear(hidden, self.encoder.size, bias=False) if attention else None
        self.readout = nn.Linear(hidden + (self.encoder.size if attention else 0), embedding)
        self.bias = nn.Parameter(torch.zeros(spec.vocab_size))
        self.gate = nn.Linear(embedding, 1) if copy else None
        self.dropout = nn.Dropout(dropout)
        never = torch.zeros(spec.vocab_size)
        never[list(spec.never)] = -torch.inf
        self.register_buffer("never", never, persistent=False)

    def train(self, mode: bool = True) -> Seq2Seq:
        """Dropout's mode."""
        super().train(mode)
        self.decoder.train()
        return self

    def given(self, context: Int[Tensor, "batch sentences length"]) -> Telling:
        """The policy that ends these contexts, which are read once."""
        tokens, mask = joined(context, self.spec.pad)
        lengths = mask.sum(1).clamp(min=1)
        memory = self.encoder(self.dropout(self.embedding(tokens)), lengths)
        first = torch.tanh(self.bridge(ends(memory, lengths)))
        h, c = first.view(len(context), 2, len(self.decoder), -1).unbind(1)
        return Telling(self, tokens, memory, mask, h, c)


class Telling:
    """The `EndingPolicy` of a `Seq2Seq`. It holds the contexts' encoder states.

    A row's state is its own LSTM state and the number of its context, so forks of a row share all that was read.
    """

    def __init__(self, network: Seq2Seq, words: Tensor, memory: Tensor, mask: Tensor, h: Tensor, c: Tensor) -> None:
        self._network, self._words, self._memory, self._mask, self._h, self._c = network, words, memory, mask, h, c
        # The bias as one more column of the output layer: to add it would cost a pass over all logits.
        bias = (network.bias + network.never)[:, None]
        self._vocabulary = torch.cat([network.embedding.weight, bias], 1).detach().t()

    def start(self, rows: int) -> Row:
        """The state after the begin mark."""
        owner = torch.arange(rows, device=self._h.device) // (rows // len(self._h))
        bos = torch.full((rows,), self._network.spec.bos, device=self._h.device)
        return self.advance(bos, {"owner": owner, "h": self._h[owner], "c": self._c[owner]})

    def advance(self, tokens: Int[Tensor, " rows"], state: Row) -> Row:
        """The state after one more token."""
        network = self._network
        inputs = network.dropout(network.embedding(tokens))
        reached = []
        for layer, lstm in enumerate(network.decoder):
            assert isinstance(lstm, nn.LSTM)
            h, c = lstm_step(lstm, inputs, (state["h"][:, layer], state["c"][:, layer]))
            reached.append((h, c))
            inputs = network.dropout(h)
        h, c = (torch.stack(parts, 1) for parts in zip(*reached, strict=True))
        return {"owner": state["owner"], "h": h, "c": c}

    def logits(self, state: Row) -> Float[Tensor, "rows vocab"]:
        """Unnormalised log-probabilities of the next token."""
        top = self._network.dropout(state["h"][:, -1])
        if self._network.query is None:
            return self._vocabulary_of(self._read(top))
        place, grid = self._by_context(top, state["owner"])
        found, weights = (x[place] for x in self._attend(grid))
        features = self._read(top, found)
        logits = self._vocabulary_of(features)
        if self._network.gate is None:
            return logits
        return self._mixed(features, logits, weights, self._words[state["owner"]])

    def outputs(self, tokens: Int[Tensor, "rows length"]) -> Float[Tensor, "rows length features"]:
        """h~ before each token is read."""
        return self._teach(tokens)[0]

    def log_probs(self, tokens: Int[Tensor, "rows length"], temperature: float = 1.0) -> Float[Tensor, "rows length"]:
        """log p(y_t | context, y_1..t-1) in nats under softmax(logits / temperature), differentiable; 0 at padding."""
        network = self._network
        mask = tokens != network.spec.pad
        features, weights = self._teach(tokens)
        targets = tokens[mask]
        parts: list[Tensor] = [features[mask], targets]
        if network.gate is not None:
            assert weights is not None
            owner = torch.arange(len(tokens), device=tokens.device) // (len(tokens) // len(self._h))
            parts += [weights[mask], owner[:, None].expand_as(tokens)[mask]]
        rows = rows_at_once(network.spec.vocab_size, tokens.device)
        if torch.is_grad_enabled():  # every row's logits are kept for the backward pass anyway
            rows = max(1, len(targets))
        split = zip(*(part.split(rows) for part in parts), strict=True)
        values = torch.cat([self._log_probs(temperature, *some) for some in split])
        return values.new_zeros(tokens.shape).masked_scatter(mask, values)

    def _teach(self, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """h~ before each token is read, and the attention that it comes from ``(rows, T, words of the context)``."""
        network, contexts, times = self._network, len(self._h), len(tokens) // len(self._h)
        bos = tokens.new_full((len(tokens), 1), network.spec.bos)
        outputs = network.dropout(network.embedding(torch.cat([bos, tokens[:, :-1]], 1)))
        for layer, lstm in enumerate(network.decoder):
            h, c = (x[:, layer].repeat_interleave(times, 0)[None].contiguous() for x in (self._h, self._c))
            outputs = network.dropout(lstm(outputs, (h, c))[0])
        if network.query is None:
            return self._read(outputs), None
        found, weights = self._attend(outputs.reshape(contexts, -1, outputs.shape[2]))
        return self._read(outputs, found.view(*outputs.shape[:2], -1)), weights.view(*outputs.shape[:2], -1)

    def _log_probs(
        self, temperature: float, features: Tensor, targets: Tensor, weights: Tensor | None = None, owner: Any = None
    ) -> Tensor:
        logits = self._vocabulary_of(features)
        if weights is None:
            return -F.cross_entropy(logits / temperature, targets, reduction="none")
        words = self._words[owner]
        if temperature != 1:
            mixed = self._mixed(features, logits, weights, words)
            return -F.cross_entropy(mixed / temperature, targets, reduction="none")
        written, copied = self._gates(features)
        drawn = written - F.cross_entropy(logits.float(), targets, reduction="none")[:, None]
        pointed = (weights.float() * (words == targets[:, None])).sum(1, keepdim=True)
        return torch.logaddexp(drawn, copied + pointed.clamp(min=TINIEST).log()).squeeze(1)

    def _mixed(self, features: Tensor, logits: Tensor, weights: Tensor, words: Tensor) -> Tensor:
        """log p of every token: written from the vocabulary or copied from the context."""
        written, copied = self._gates(features)
        p = (logits.float().log_softmax(1) + written).exp()
        return p.scatter_add(1, words, copied.exp() * weights.float()).clamp(min=TINIEST).log() + self._network.never

    def _gates(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """log g and log(1 - g) ``(rows, 1)``."""
        gate: Any = self._network.gate
        logit = gate(features).float()
        return F.logsigmoid(logit), F.logsigmoid(-logit)

    def _vocabulary_of(self, features: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return F.linear(features, self._network.embedding.weight, self._network.bias + self._network.never)
        return torch.cat([features, torch.ones_like(features[:, :1])], 1) @ self._vocabulary

    def _read(self, *parts: Tensor) -> Tensor:
        """h~ from the decoder's output and what attention found."""
        return self._network.dropout(torch.tanh(self._network.readout(torch.cat(parts, -1))))

    def _attend(self, outputs: Float[Tensor, "contexts any hidden"]) -> tuple[Tensor, Tensor]:
        """For each of the decoder's outputs that belong to a context: the mean of the encoder's, the weights."""
        query: Any = self._network.query
        scores = query(outputs) @ self._memory.transpose(1, 2)
        weights = scores.masked_fill(~self._mask[:, None], -torch.inf).softmax(-1)
        return weights @ self._memory, weights

    def _by_context(self, rows: Tensor, owner: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """The rows of each context side by side, so that its encoder states need not be copied for every row.

        Returns the place of each row, and the rows ``(contexts, most rows of one context, size)``.
        """
        counts = torch.bincount(owner, minlength=len(self._h))
        order = owner.argsort(stable=True)
        before = counts.cumsum(0) - counts
        rank = torch.empty_like(owner)
        rank[order] = torch.arange(len(owner), device=owner.device) - before[owner[order]]
        grid = rows.new_zeros(len(self._h), int(counts.max()), rows.shape[1])
        grid[owner, rank] = rows
        return (owner, rank), grid
