"""Sampling from a policy: exact draws, whole sentences, and the completion of many prefixes in one growing batch.

A *policy* is a generator seen one token at a time. Its state is a tensor or a tuple (list, dict) of tensors with one
row a sentence on dimension 0, so that this module can fork, join and drop rows without knowing what they mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, repeat
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from textgan.categorical import Head, draw_copies, draw_from, rows_at_once
from textgan.data.spec import NONE, TextSpec
from textgan.errors import UserError

State = Any
"""A tensor or a nest of tensors, each with one row a sentence. What gives other rows (some, several times, joined, with
room) by the methods of `textgan.networks.key_cache.KeyCache` counts as one."""

FINISHED = 1 / 8
"""Share of rows that have ended at which they leave a batch whose states are costly to take apart."""


@runtime_checkable
class Policy(Protocol):
    """A distribution over sentences, p(y) = prod_t p(y_t | y_1..t-1), that can be read one token at a time."""

    def start(self, rows: int) -> State:
        """The state of `rows` sentences of which only the begin mark has been read."""

    def advance(self, tokens: Int[Tensor, " rows"], state: State) -> State:
        """The state after one more token."""

    def logits(self, state: State) -> Float[Tensor, "rows vocab"]:
        """Unnormalised log-probabilities of the next token; -inf for the tokens of `TextSpec.never`."""

    def log_probs(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length"]:
        """log p(y_t | y_1..t-1) in nats, differentiable; 0 at padding."""


@runtime_checkable
class LinearPolicy(Policy, Protocol):
    """A policy whose logits are a linear layer's: tokens can be drawn without a pass over all logits for each step."""

    def head(self, state: State) -> Head:
        """What `logits` is made of."""


@torch.no_grad()
def sample(
    policy: Policy,
    spec: TextSpec,
    n: int,
    temperature: float = 1.0,
    uniforms: Float[Tensor, "n length"] | None = None,
    at_once: int | None = None,
) -> Int[Tensor, "n length"]:
    """`n` sentences of the policy: words, the end mark (unless the length runs out first), padding.

    `uniforms` fixes the random numbers: one for each sentence and position. The logits of
    `at_once` rows are held at once (default: `rows_at_once`). Networks with dropout should be in eval mode.
    Raises `UserError` for a temperature that is not positive.
    """
    state = policy.start(n)
    device = device_of(state)
    sentences = torch.full((n, spec.length), spec.pad, device=device)
    arrivals = chain([(n, state)], repeat((0, None), spec.length - 1))
    return complete(policy, spec, sentences, arrivals, temperature, uniforms, at_once)


@torch.no_grad()
def complete(
    policy: Policy,
    spec: TextSpec,
    sentences: Int[Tensor, "rows length"],
    arrivals: Iterable[tuple[int, State]],
    temperature: float = 1.0,
    uniforms: Float[Tensor, "rows length"] | None = None,
    at_once: int | None = None,
) -> Int[Tensor, "rows length"]:
    """Writes the rest of every sentence, in place; all unfinished ones draw their next token together.

    `arrivals` says for each position how many further rows, in order, are written from there on, and the state that
    they have reached (None for no rows). Where a state stands for several consecutive rows, these draw from one
    distribution, which is computed once. On the CPU finished sentences leave the batch (of a transformer, when they are
    an eighth of it); on a GPU, where to ask which ones would make the host wait, they stay and their tokens are masked.
    """
    if not temperature > 0:
        raise UserError(f"temperature (={temperature}) must be greater than 0")
    device = sentences.device
    at_once = at_once or rows_at_once(spec.vocab_size, device)
    rows = torch.empty(0, dtype=torch.int64, device=device)  # those being written
    ended = torch.empty(0, dtype=torch.bool, device=device)
    state, joined = None, 0
    for position, (count, arriving) in enumerate(arrivals):
        going = len(rows)
        rows = torch.cat([rows, torch.arange(joined, joined + count, device=device)])
        ended = torch.cat([ended, ended.new_zeros(count)])
        joined += count
        if not len(rows):
            continue
        numbers = torch.rand(len(rows), device=device) if uniforms is None else uniforms[rows, position]
        drawn = []
        if going:
            state = policy.advance(sentences[rows[:going], position - 1], state)
            drawn.append(_next_tokens(policy, state, temperature, numbers[:going, None], at_once))
        if count:
            forks = len(tree_leaves(arriving)[0])
            drawn.append(_next_tokens(policy, arriving, temperature, numbers[going:].view(forks, -1), at_once))
            if count > forks:
                arriving = tree_map(lambda x, copies=count // forks: x.repeat_interleave(copies, 0), arriving)
            most = len(rows) + len(sentences) - joined  # rows that it may come to have
            state = join(state, arriving, most) if going else _with_room(arriving, most)
        tokens = torch.cat([some.flatten() for some in drawn])
        sentences[rows, position] = tokens.masked_fill(ended, spec.pad)
        if spec.eos == NONE:
            continue
        ended = ended | (tokens == spec.eos)
        if device.type == "cpu" and ended.sum() > len(ended) * (0 if _is_plain(state) else FINISHED):
            still = (~ended).nonzero().squeeze(1)
            rows, ended = rows[still], ended[still]
            state = _with_room(take(state, still), len(rows) + len(sentences) - joined)
    return sentences


def _next_tokens(
    policy: Policy, state: State, temperature: float, uniforms: Float[Tensor, "rows copies"], at_once: int
) -> Int[Tensor, "rows copies"]:
    """A token for every number of each row of the state, `at_once` rows at a time."""
    if isinstance(policy, LinearPolicy):
        return draw_from(policy.head(state), temperature, uniforms, at_once)
    parts = [slice(first, first + at_once) for first in range(0, len(uniforms), at_once)]
    return torch.cat([draw_copies(policy.logits(take(state, p)), temperature, uniforms[p]) for p in parts])


def join(state: State, more: State, rows: int) -> State:
    """Two states, one below the other. There will be `rows` in the end."""

    def joined(a: Any, b: Any) -> Any:
        return torch.cat([a, b]) if isinstance(a, Tensor) else a.joined(b, rows)

    return tree_map(joined, state, more)


def _with_room(state: State, rows: int) -> State:
    """The same, where there will be `rows` in the end."""
    return tree_map(lambda x: x if isinstance(x, Tensor) else x.with_room(rows), state)


def _is_plain(state: State) -> bool:
    """Whether it is made of tensors alone."""
    return all(isinstance(leaf, Tensor) for leaf in tree_leaves(state))


def take(state: State, rows: Tensor | slice) -> State:
    """Some rows of a state."""
    return tree_map(lambda x: x[rows], state)


def device_of(state: State) -> torch.device:
    """Where a state is."""
    devices: list[torch.device] = []
    tree_map(lambda x: devices.append(x.device), state)
    return devices[0]
