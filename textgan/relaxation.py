"""Sentences of relaxed words, through which a discriminator's gradient reaches the generator: Gumbel-softmax."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from textgan.data.spec import NONE, TextSpec
from textgan.sampling import State, device_of

Feedback = Literal["hard", "soft"]
"""What a generator reads next: the likeliest word of the relaxed one (RelGAN), or the mixture itself (GSGAN)."""


@runtime_checkable
class RelaxedPolicy(Protocol):
    """A policy that may read distributions over tokens."""

    def start(self, rows: int) -> State: ...
    def advance(self, tokens: Int[Tensor, " rows"], state: Any) -> State: ...
    def advance_relaxed(self, words: Float[Tensor, "rows vocab"], state: Any) -> State: ...
    def logits(self, state: Any) -> Float[Tensor, "rows vocab"]: ...


class Relaxed(NamedTuple):
    """Sentences of relaxed words and the words that they stand for."""

    words: Tensor
    """Distributions over tokens ``(B, T, V)``, differentiable; all 0 after the end mark."""
    tokens: Tensor
    """The likeliest token of each ``(B, T)``; padding after the end mark."""

    def lengths(self, spec: TextSpec) -> Tensor | None:
        """Tokens of each sentence, the end mark counted; None where all are full."""
        return None if spec.pad == NONE else (self.tokens != spec.pad).sum(1)


def gumbel(logits: Float[Tensor, "*rows vocab"]) -> Float[Tensor, "*rows vocab"]:
    """Standard Gumbel noise, -log(-log u), of the shape of `logits`; always in float32."""
    return -torch.empty_like(logits, dtype=torch.float32).exponential_().log()


def gumbel_softmax(
    logits: Float[Tensor, "*rows vocab"],
    temperature: float,
    noise: Float[Tensor, "*rows vocab"] | None = None,
) -> Float[Tensor, "*rows vocab"]:
    """softmax((logits + g) / temperature), g Gumbel noise (Jang et al. 2017; Maddison et al. 2017; equations 1 and 10).

    The likeliest entry is an exact draw from softmax(logits) at any temperature. Drawn anew without `noise`.
    """
    return ((logits.float() + (gumbel(logits) if noise is None else noise)) / temperature).softmax(-1)


def straight_through(soft: Float[Tensor, "*rows vocab"]) -> Float[Tensor, "*rows vocab"]:
    """One-hot vectors of the likeliest entries, which hand their gradient on to `soft` (Bengio et al. 2013)."""
    hard = F.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)
    return hard + soft - soft.detach()


def one_hot(tokens: Int[Tensor, "batch length"], spec: TextSpec) -> Float[Tensor, "batch length vocab"]:
    """Real sentences in the form of relaxed ones: all 0 at padding."""
    words = F.one_hot(tokens.clamp(min=0), spec.vocab_size).float()
    return words if spec.pad == NONE else words * (tokens != spec.pad)[:, :, None]


def relaxed_sample(
    policy: RelaxedPolicy,
    spec: TextSpec,
    n: int,
    temperature: float,
    feedback: Feedback = "hard",
    noise: Float[Tensor, "batch length vocab"] | None = None,
) -> Relaxed:
    """`n` sentences of relaxed words, each drawn by `gumbel_softmax` given what was read before.

    The likeliest words of a sentence are, with `feedback` hard, an exact draw from the policy. With soft, the gradient
    flows through what is read as well. `noise` fixes the Gumbel numbers.
    """
    state = policy.start(n)
    ended = torch.zeros(n, dtype=torch.bool, device=device_of(state))
    words, tokens = [], []
    for t in range(spec.length):
        word = gumbel_softmax(policy.logits(state), temperature, None if noise is None else noise[:, t])
        token = word.argmax(-1)
        words.append(word.masked_fill(ended[:, None], 0.0))
        tokens.append(token.masked_fill(ended, spec.pad))
        if spec.eos != NONE:
            ended = ended | (token == spec.eos)
        if t + 1 < spec.length:
            state = policy.advance(token, state) if feedback == "hard" else policy.advance_relaxed(word, state)
    return Relaxed(torch.stack(words, 1), torch.stack(tokens, 1))
