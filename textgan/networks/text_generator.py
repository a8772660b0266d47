"""What a generator of sentences is, whatever it is made of: a policy that also gives the likelihood of whole sentences.

It keeps a state and predicts the next token from its *outputs*. Generators of our own read tokens as embeddings, and
may be given a *condition*, a vector a sentence (a category, a latent code): projected, it is added to every embedding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.categorical import Head, rows_at_once
from textgan.data.spec import NONE, TextSpec
from textgan.errors import UserError
from textgan.sampling import LinearPolicy, State


class TextGenerator(nn.Module):
    """p(y) = prod_t softmax(vocabulary(o_t))[y_t], where o_t, the output at t, knows y_1..t-1: a `Policy`.

    Tokens of `TextSpec.never` have probability 0. Dropout, if any, acts in train mode only.
    """

    spec: TextSpec
    width: int
    """Size of the outputs."""

    def start(self, rows: int, condition: Float[Tensor, "rows size"] | None = None) -> State:
        """The state after the begin mark, each row under its condition."""
        raise NotImplementedError

    def advance(self, tokens: Int[Tensor, " rows"], state: Any) -> State:
        """The state after one more token."""
        raise NotImplementedError

    def advance_relaxed(self, words: Float[Tensor, "rows vocab"], state: Any) -> State:
        """`advance` for a distribution over tokens, read as the mean of their embeddings: differentiable in it."""
        raise UserError("game.generator.kind is hf:PATH, which reads words, not mixtures of them as this game has it")

    def logits(self, state: Any) -> Float[Tensor, "rows vocab"]:
        """Unnormalised log-probabilities of the next token."""
        raise NotImplementedError

    def outputs(
        self, tokens: Int[Tensor, "batch length"], condition: Float[Tensor, "batch size"] | None = None
    ) -> Float[Tensor, "batch length width"]:
        """The output before each token is read: ``vocabulary(outputs(y))[:, t]`` are the logits of y_t."""
        raise NotImplementedError

    def vocabulary(self, outputs: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows vocab"]:
        """Logits of the next token from outputs."""
        raise NotImplementedError

    def log_probs(
        self,
        tokens: Int[Tensor, "batch length"],
        temperature: float = 1.0,
        condition: Float[Tensor, "batch size"] | None = None,
    ) -> Float[Tensor, "batch length"]:
        """log p(y_t | y_1..t-1) in nats under softmax(logits / temperature), differentiable; 0 at padding."""
        return self.log_probs_of(self.outputs(tokens, condition), tokens, temperature)

    def log_probs_of(
        self,
        outputs: Float[Tensor, "batch length width"],
        tokens: Int[Tensor, "batch length"],
        temperature: float = 1.0,
    ) -> Float[Tensor, "batch length"]:
        """`log_probs`, given `outputs`.

        Logits are computed for words and end marks only and, where no gradient is recorded, for a few rows at a time.
        """
        if self.spec.pad == NONE:  # where every token counts a GPU need not be asked which do
            return self._log_probs_at(outputs.flatten(0, 1), tokens.flatten(), temperature).view(tokens.shape)
        mask = tokens != self.spec.pad
        values = self._log_probs_at(outputs[mask], tokens[mask], temperature)
        return values.new_zeros(tokens.shape).masked_scatter(mask, values)

    def given(self, condition: Float[Tensor, "batch size"]) -> Given:
        """The policy under these conditions."""
        return Given(self, condition)

    def describe(self, folder: Path) -> None:
        """Write into `folder` what it takes to build the network beside the options of its game: nothing, mostly."""

    def _log_probs_at(self, outputs: Tensor, targets: Tensor, temperature: float) -> Tensor:
        rows = rows_at_once(self.spec.vocab_size, targets.device)
        if torch.is_grad_enabled():  # every row's logits are kept for the backward pass anyway
            rows = max(1, len(targets))
        parts = zip(outputs.split(rows), targets.split(rows), strict=True)
        return torch.cat([self._log_probs(*part, temperature) for part in parts])

    def _log_probs(self, outputs: Tensor, targets: Tensor, temperature: float) -> Tensor:
        logits = self.vocabulary(outputs)
        if temperature != 1:
            logits = logits / temperature
        return -F.cross_entropy(logits, targets, reduction="none")


class Conditioned(NamedTuple):
    """The state of a generator that was given a condition."""

    state: State
    condition: Tensor
    """What is added to each embedding, ``(rows, embedding)``."""


class EmbeddingGenerator(TextGenerator):
    """Reads embeddings; the outputs go through a linear layer. A subclass defines the four methods that come first."""

    never: Tensor

    def __init__(self, spec: TextSpec, embedding: int, width: int, dropout: float = 0.0, condition: int = 0) -> None:
        super().__init__()
        self.spec, self.width = spec, width
        self.embedding = nn.Embedding(spec.vocab_size, embedding)
        self.output = nn.Linear(width, spec.vocab_size)
        self.dropout = nn.Dropout(dropout)
        self.condition = nn.Linear(condition, embedding, bias=False) if condition else None
        never = torch.zeros(spec.vocab_size)
        never[list(spec.never)] = -torch.inf
        self.register_buffer("never", never, persistent=False)

    def begin(self, rows: int) -> State:
        """The state before anything is read."""
        raise NotImplementedError

    def read(self, inputs: Float[Tensor, "rows embedding"], state: Any) -> State:
        """The state after one more input."""
        raise NotImplementedError

    def output_of(self, state: Any) -> Float[Tensor, "rows width"]:
        """What the next token is predicted from."""
        raise NotImplementedError

    def outputs_embedded(self, inputs: Float[Tensor, "batch length embedding"]) -> Float[Tensor, "batch length width"]:
        """The output after each input of whole rows."""
        raise NotImplementedError

    def start(self, rows: int, condition: Float[Tensor, "rows size"] | None = None) -> State:
        """The state after the begin mark, each row under its condition."""
        state = self.begin(rows)
        if condition is not None:
            state = Conditioned(state, self._projected(condition))
        bos = torch.full((rows,), self.spec.bos, device=self.never.device)
        return self.advance(bos, state)

    def advance(self, tokens: Int[Tensor, " rows"], state: State) -> State:
        """The state after one more token."""
        return self._advance_embedded(self.embedding(tokens), state)

    def advance_relaxed(self, words: Float[Tensor, "rows vocab"], state: State) -> State:
        """`advance` for a distribution over tokens, read as the mean of their embeddings: differentiable in it."""
        return self._advance_embedded(words @ self.embedding.weight, state)

    def logits(self, state: State) -> Float[Tensor, "rows vocab"]:
        """Unnormalised log-probabilities of the next token."""
        return self.head(state).logits

    def head(self, state: State) -> Head:
        """What `logits` is made of."""
        outputs = self.output_of(state.state if isinstance(state, Conditioned) else state)
        return Head(self.dropout(outputs), self.output.weight, self.output.bias + self.never)

    def outputs(
        self, tokens: Int[Tensor, "batch length"], condition: Float[Tensor, "batch size"] | None = None
    ) -> Float[Tensor, "batch length width"]:
        """The output before each token is read: ``vocabulary(outputs(y))[:, t]`` are the logits of y_t."""
        bos = tokens.new_full((len(tokens), 1), self.spec.bos)
        inputs = self.embedding(torch.cat([bos, tokens[:, :-1]], 1))
        if condition is not None:
            inputs = inputs + self._projected(condition)[:, None]
        return self.outputs_embedded(self.dropout(inputs))

    def vocabulary(self, outputs: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows vocab"]:
        """Logits of the next token from outputs."""
        return F.linear(self.dropout(outputs), self.output.weight, self.output.bias + self.never)

    def _advance_embedded(self, inputs: Tensor, state: State) -> State:
        if isinstance(state, Conditioned):
            return state._replace(state=self.read(self.dropout(inputs + state.condition), state.state))
        return self.read(self.dropout(inputs), state)

    def _projected(self, condition: Tensor) -> Tensor:
        assert self.condition is not None, "a generator built without a condition was given one"
        return self.condition(condition)


class Given:
    """A `Policy`: the generator under a condition a sentence.

    ``start(rows)`` takes any multiple k of the number of conditions; row r is under condition ``r // k``.
    """

    def __init__(self, generator: TextGenerator, condition: Float[Tensor, "batch size"]) -> None:
        self._generator, self._condition = generator, condition
        self.advance, self.advance_relaxed, self.logits = generator.advance, generator.advance_relaxed, generator.logits
        if isinstance(generator, LinearPolicy):
            self.head = generator.head

    def start(self, rows: int) -> State:
        """The state after the begin mark."""
        return self._generator.start(rows, self._conditions(rows))

    def log_probs(self, tokens: Int[Tensor, "rows length"], temperature: float = 1.0) -> Float[Tensor, "rows length"]:
        """log p(y_t | y_1..t-1, condition) in nats, differentiable; 0 at padding."""
        return self._generator.log_probs(tokens, temperature, self._conditions(len(tokens)))

    def _conditions(self, rows: int) -> Tensor:
        return self._condition.repeat_interleave(rows // len(self._condition), 0)
