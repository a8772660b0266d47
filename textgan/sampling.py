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
from torch.utils._pytree import tree_map

from textgan.data.spec import NONE, TextSpec
from textgan.errors import UserError

State = Any
"""A tensor or a nest of tensors, each with one row a sentence."""

BLOCK = 64
"""Tokens a block of `draw`."""


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


@torch.no_grad()
def draw(
    logits: Float[Tensor, "rows vocab"],
    temperature: float = 1.0,
    uniforms: Float[Tensor, " rows"] | None = None,
    scratch: Float[Tensor, "at_least_rows vocab"] | None = None,
) -> Int[Tensor, " rows"]:
    """One token a row from ``softmax(logits / temperature)`` by inversion of its distribution function.

    The smallest token whose cumulative probability exceeds the row's uniform number in [0, 1): first among the sums
    of blocks of 64 tokens, then within the block, so that no cumulative sum over the vocabulary is formed. All in
    fp32, whose uniform numbers resolve 2^-24: a token rarer than that is drawn at about, not exactly, its rate.
    A token of probability zero is never drawn, whatever the rounding.

    `scratch`, in fp32, saves a caller of many draws the time that a system takes to hand out fresh memory.
    """
    rows, vocab = logits.shape
    logits = logits.float() if temperature == 1 else logits.float() / temperature
    weights = torch.softmax(logits, -1, out=None if scratch is None else scratch[:rows])
    if uniforms is None:
        uniforms = torch.rand(rows, device=logits.device)

    blocks, rest = vocab // BLOCK, slice(vocab - vocab % BLOCK, None)
    whole = weights[:, : rest.start].unflatten(1, (blocks, BLOCK))
    block_sums = torch.cat([whole.sum(-1), weights[:, rest].sum(-1, keepdim=True)], 1)
    cumulative = block_sums.cumsum(-1)
    target = uniforms[:, None] * cumulative[:, -1:]
    block = _first_beyond(target, cumulative)  # (rows, 1)
    places = block * BLOCK + torch.arange(BLOCK, device=logits.device)
    within = weights.gather(1, places.clamp(max=vocab - 1)) * (places < vocab)
    before = (cumulative - block_sums).gather(1, block)
    return (block * BLOCK + _first_beyond(target - before, within.cumsum(-1))).squeeze(1)


def rows_at_once(vocab: int, device: torch.device) -> int:
    """Of how many rows the logits are best held at once: 4 MB on a CPU, which its caches hold, and 512 MB on a GPU; at
    least 256 rows on a CPU, which repay reading the output layer's weights.
    """
    return max(256, 2**20 // vocab) if device.type == "cpu" else max(1, 2**27 // vocab)


def _first_beyond(target: Float[Tensor, "rows 1"], cumulative: Float[Tensor, "rows n"]) -> Int[Tensor, "rows 1"]:
    """The first entry whose cumulative sum is beyond the target, and which so has a weight above zero.

    Rounding may have made the target less than nothing or all there is; then the first or the last such entry.
    """
    last = cumulative[:, -1:]
    below = torch.nextafter(last, torch.zeros_like(last))
    return torch.searchsorted(cumulative, torch.minimum(target.clamp(min=0), below), right=True)


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
    they have reached (None for no rows). On the CPU finished sentences leave the batch; on a GPU, where to ask which
    ones would make the host wait, they stay and their tokens are masked.
    """
    if not temperature > 0:
        raise UserError(f"temperature (={temperature}) must be greater than 0")
    device = sentences.device
    scratch = torch.empty(at_once or rows_at_once(spec.vocab_size, device), spec.vocab_size, device=device)
    rows = torch.empty(0, dtype=torch.int64, device=device)  # those being written
    ended = torch.empty(0, dtype=torch.bool, device=device)
    state, joined = None, 0
    for position, (count, arriving) in enumerate(arrivals):
        if len(rows):
            state = policy.advance(sentences[rows, position - 1], state)
        if count:
            rows = torch.cat([rows, torch.arange(joined, joined + count, device=device)])
            ended = torch.cat([ended, ended.new_zeros(count)])
            state = arriving if state is None else tree_map(lambda a, b: torch.cat([a, b]), state, arriving)
            joined += count
        if not len(rows):
            continue
        numbers = torch.rand(len(rows), device=device) if uniforms is None else uniforms[rows, position]
        tokens = _draw_in_parts(policy, state, temperature, numbers, scratch)
        sentences[rows, position] = tokens.masked_fill(ended, spec.pad)
        if spec.eos == NONE:
            continue
        ended = ended | (tokens == spec.eos)
        if device.type == "cpu" and ended.any():
            going = (~ended).nonzero().squeeze(1)
            rows, ended = rows[going], ended[going]
            state = take(state, going)
    return sentences


def _draw_in_parts(policy: Policy, state: State, temperature: float, uniforms: Tensor, scratch: Tensor) -> Tensor:
    """A token for every row of the state, as many rows at a time as the scratch memory has."""
    parts = [slice(first, first + len(scratch)) for first in range(0, len(uniforms), len(scratch))]
    return torch.cat([draw(policy.logits(take(state, p)), temperature, uniforms[p], scratch) for p in parts])


def take(state: State, rows: Tensor | slice) -> State:
    """Some rows of a state."""
    return tree_map(lambda x: x[rows], state)


def device_of(state: State) -> torch.device:
    """Where a state is."""
    devices: list[torch.device] = []
    tree_map(lambda x: devices.append(x.device), state)
    return devices[0]
