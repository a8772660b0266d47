"""Filling in masked sentences (MaskGAN): what is masked, who writes it, who judges it, what it is worth.

x is a sentence, m(x) what is seen of it: its tokens with a mask in place of some. Where the last token of a sentence is
masked so is the padding after it: nobody knows then how long it was. A sentence of masks alone says nothing, and to
fill it in is to write freely.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from textgan.categorical import draw
from textgan.data.spec import NONE, TextSpec
from textgan.networks.recurrent import BidirectionalLSTM, lstm_step

Masking = Literal["contiguous", "random"]
"""A block of neighbours, or each token for itself."""
Row = dict[str, Tensor]
"""State of the rows: ``owner``, the masked sentence that a row fills in; ``place``, tokens read; the LSTM's h, c."""


def choose_masked(
    tokens: Int[Tensor, "batch length"], spec: TextSpec, masking: Masking, share: float, whole: float = 0.0
) -> Bool[Tensor, "batch length"]:
    """Which places of real sentences are masked: a `share` of each sentence's tokens, or all, at rate `whole`.

    Contiguous: a block of ``share n`` tokens, rounded, anywhere in a sentence of n. Random: each token at the rate
    `share`. At least one token is masked and, with the last one, the padding.
    """
    device = tokens.device
    lengths = (tokens != spec.pad).sum(1, keepdim=True)
    places = torch.arange(tokens.shape[1], device=device)
    if masking == "random":
        chances = torch.rand(tokens.shape, device=device).masked_fill(places >= lengths, torch.inf)
        masked = (chances < share) | (chances == chances.amin(1, keepdim=True))
    else:
        block = (share * lengths).round().long().clamp(min=1)
        first = (torch.rand(len(tokens), 1, device=device) * (lengths - block + 1)).long()
        masked = (places >= first) & (places < first + block)
    masked = masked | (torch.rand(len(tokens), 1, device=device) < whole)
    beyond = places >= lengths
    return torch.where(beyond, masked.gather(1, lengths - 1), masked)


class MaskedReader(nn.Module):
    """Reads m(x) from both sides and then x from the left: its output at t knows m(x) and x_1..t-1.

    An LSTM whose input at t is the vector of x_t-1 (at first the begin mark) beside what a bidirectional LSTM knows of
    m(x) at t. Dropout drops the same units at all places of a sentence (Gal and Ghahramani, 2016), in train mode only.
    """

    def __init__(self, spec: TextSpec, embedding: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.spec, self.hidden = spec, hidden
        self.embedding = nn.Embedding(spec.vocab_size + 1, embedding)  # the last one is the mask
        self.encoder = BidirectionalLSTM(embedding, -(-hidden // 2), 1)
        self.decoder = nn.LSTM(embedding + self.encoder.size, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def train(self, mode: bool = True) -> MaskedReader:
        """Dropout's mode. The LSTM, which has none of its own, stays as cuDNN wants it to give gradients."""
        super().train(mode)
        self.decoder.train()
        return self

    def see(
        self, tokens: Int[Tensor, "batch length"], masked: Bool[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length memory"]:
        """What is known of m(x) at each place."""
        seen = tokens.clamp(min=0).masked_fill(masked, self.spec.vocab_size)
        lengths = torch.full((len(tokens),), tokens.shape[1], device=tokens.device)
        return self.encoder(self._thinned(self.embedding(seen)), lengths)

    def outputs(
        self, tokens: Int[Tensor, "rows length"], memory: Float[Tensor, "rows length memory"]
    ) -> Float[Tensor, "rows length hidden"]:
        """The output before each token of x is read."""
        bos = tokens.new_full((len(tokens), 1), self.spec.bos)
        read = self._thinned(self.embedding(torch.cat([bos, tokens[:, :-1]], 1).clamp(min=0)))
        return self._thinned(self.decoder(torch.cat([read, memory], 2))[0])

    def _thinned(self, x: Tensor) -> Tensor:
        return x * self.dropout(torch.ones_like(x[:, :1]))


class Infiller(nn.Module):
    """The generator: p(x_t | x_1..t-1, m(x)), for every t. `given` makes it a `textgan.sampling.Policy`."""

    never: Tensor

    def __init__(self, spec: TextSpec, embedding: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.spec = spec
        self.reader = MaskedReader(spec, embedding, hidden, dropout)
        self.output = nn.Linear(hidden, spec.vocab_size)
        never = torch.zeros(spec.vocab_size)
        never[list(spec.never)] = -torch.inf
        self.register_buffer("never", never, persistent=False)

    def given(self, tokens: Int[Tensor, "batch length"], masked: Bool[Tensor, "batch length"]) -> Filling:
        """The policy that knows these masked sentences."""
        return Filling(self, tokens, masked)

    def blank(self) -> Filling:
        """The policy that knows nothing: it writes freely."""
        tokens = torch.zeros(1, self.spec.length, dtype=torch.int64, device=self.never.device)
        return Filling(self, tokens, torch.ones_like(tokens, dtype=torch.bool))

    @torch.no_grad()
    def fill(
        self,
        tokens: Int[Tensor, "batch length"],
        masked: Bool[Tensor, "batch length"],
        uniforms: Float[Tensor, "batch length"] | None = None,
    ) -> Int[Tensor, "batch length"]:
        """The sentences with their masked places drawn anew, from left to right; the others stay.

        `uniforms` fixes the random numbers. Dropout should be off.
        """
        policy, spec = self.given(tokens, masked), self.spec
        state, filled = policy.start(len(tokens)), []
        ended = torch.zeros_like(masked[:, 0])
        for t in range(spec.length):
            drawn = draw(policy.logits(state), uniforms=None if uniforms is None else uniforms[:, t])
            token = torch.where(masked[:, t], drawn, tokens[:, t]).masked_fill(ended, spec.pad)
            ended = ended | ((token == spec.eos) if spec.eos != NONE else ended)
            filled.append(token)
            state = policy.advance(token, state)
        return torch.stack(filled, 1)


class Filling:
    """The `textgan.sampling.Policy` of an `Infiller`: any number of fillings of each masked sentence.

    No end mark stands before a token that is seen, so it has no probability there.
    """

    def __init__(self, network: Infiller, tokens: Tensor, masked: Tensor) -> None:
        self._network, self._memory = network, network.reader.see(tokens, masked)
        seen_words = ~masked & (tokens != network.spec.pad)
        seen_from_here = seen_words.flip(1).cumsum(1).flip(1)
        self._goes_on = seen_from_here - seen_words.long() > 0  # a token that is seen comes later

    def start(self, rows: int) -> Row:
        """The state after the begin mark; every masked sentence has as many rows, side by side."""
        zeros = self._memory.new_zeros(rows, self._network.reader.hidden)
        place = torch.zeros(rows, dtype=torch.int64, device=zeros.device)
        owner = torch.arange(rows, device=zeros.device) // (rows // len(self._memory))
        return self.advance(place + self._network.spec.bos, {"owner": owner, "place": place, "h": zeros, "c": zeros})

    def advance(self, tokens: Int[Tensor, " rows"], state: Row) -> Row:
        """The state after one more token."""
        reader, place = self._network.reader, state["place"].clamp(max=self._memory.shape[1] - 1)
        read = torch.cat([reader.embedding(tokens.clamp(min=0)), self._memory[state["owner"], place]], 1)
        h, c = lstm_step(reader.decoder, read, (state["h"], state["c"]))
        return {"owner": state["owner"], "place": place + 1, "h": h, "c": c}

    def logits(self, state: Row) -> Float[Tensor, "rows vocab"]:
        """Unnormalised log-probabilities of the next token."""
        return self._vocabulary(state["h"], self._goes_on[state["owner"], state["place"] - 1])

    def log_probs(self, tokens: Int[Tensor, "rows length"], temperature: float = 1.0) -> Float[Tensor, "rows length"]:
        """log p(x_t | x_1..t-1, m(x)) in nats of every token, masked or not, differentiable; 0 at padding.

        A token that is seen is an end mark at the last place alone, as in the sentences that were masked.
        """
        times, mask = len(tokens) // len(self._memory), tokens != self._network.spec.pad
        memory, goes_on = (x.repeat_interleave(times, 0) for x in (self._memory, self._goes_on))
        outputs = self._network.reader.outputs(tokens, memory)[mask]
        logits = self._vocabulary(outputs, goes_on[mask]) / temperature
        values = -F.cross_entropy(logits, tokens[mask], reduction="none")
        return values.new_zeros(tokens.shape).masked_scatter(mask, values)

    def _vocabulary(self, outputs: Tensor, goes_on: Tensor) -> Tensor:
        logits = self._network.output(outputs) + self._network.never
        if self._network.spec.eos != NONE:
            logits[:, self._network.spec.eos] = logits[:, self._network.spec.eos].masked_fill(goes_on, -torch.inf)
        return logits


class TokenJudge(nn.Module):
    """The discriminator: a logit for every token, the higher the more real, given the whole sentence and its mask.

    A bidirectional LSTM over each token's vector plus one that says whether it was masked: together they say m(x).
    """

    def __init__(self, spec: TextSpec, embedding: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.spec = spec
        self.embedding, self.was_masked = nn.Embedding(spec.vocab_size, embedding), nn.Embedding(2, embedding)
        self.lstm = BidirectionalLSTM(embedding, -(-hidden // 2), 1)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(self.lstm.size, 1)

    def forward(
        self, tokens: Int[Tensor, "batch length"], masked: Bool[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length"]:
        """The logits; those at padding mean nothing."""
        words = self.embedding(tokens.clamp(min=0)) + self.was_masked(masked.long())
        words = words * self.dropout(torch.ones_like(words[:, :1]))
        found = self.lstm(words, (tokens != self.spec.pad).sum(1))
        return self.output(found * self.dropout(torch.ones_like(found[:, :1]))).squeeze(2)


class PrefixCritic(nn.Module):
    """The critic: what is expected of x_t and those after it, given m(x) and x_1..t-1 but not x_t."""

    def __init__(self, spec: TextSpec, embedding: int, hidden: int) -> None:
        super().__init__()
        self.reader = MaskedReader(spec, embedding, hidden)
        self.output = nn.Linear(hidden, 1)

    def forward(
        self, tokens: Int[Tensor, "batch length"], masked: Bool[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length"]:
        """The value before each token."""
        return self.output(self.reader.outputs(tokens, self.reader.see(tokens, masked))).squeeze(2)
