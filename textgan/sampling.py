"""Sampling from a policy: exact draws, whole sentences, and the completion of many prefixes in one growing batch.

A *policy* is a generator seen one token at a time. Its state is a tensor or a tuple (list, dict) of tensors with one
row a sentence on dimension 0, so that this module can fork, join and drop rows without knowing what they mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain, repeat
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from textgan.data.spec import NONE, TextSpec
from textgan.errors import UserError

State = Any
"""A tensor or a nest of tensors, each with one row a sentence."""

BLOCK = 64
"""Tokens a block of `draw`."""

SAFE = 60.0
"""2^x is taken of scores as they are where the largest of each row is no further from 0."""


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


class Head(NamedTuple):
    """Where the next token's logits come from: ``outputs @ weight.T + bias``."""

    outputs: Float[Tensor, "rows width"]
    weight: Float[Tensor, "vocab width"]
    bias: Float[Tensor, " vocab"]
    """-inf for the tokens of `TextSpec.never`."""

    @property
    def logits(self) -> Float[Tensor, "rows vocab"]:
        """Unnormalised log-probabilities of the next token."""
        return F.linear(self.outputs, self.weight, self.bias)


@runtime_checkable
class LinearPolicy(Policy, Protocol):
    """A policy whose logits are a linear layer's: tokens can be drawn without a pass over all logits for each step."""

    def head(self, state: State) -> Head:
        """What `logits` is made of."""


@torch.no_grad()
def draw(
    logits: Float[Tensor, "rows vocab"], temperature: float = 1.0, uniforms: Float[Tensor, " rows"] | None = None
) -> Int[Tensor, " rows"]:
    """One token a row from ``softmax(logits / temperature)`` by inversion of its distribution function.

    The smallest token whose cumulative probability exceeds the row's uniform number in [0, 1): first among the sums
    of blocks of 64 tokens, then within the block, so that no cumulative sum over the vocabulary is formed. All in
    fp32, whose uniform numbers resolve 2^-24: a token rarer than that is drawn at about, not exactly, its rate.
    A token of probability zero is never drawn, whatever the rounding.
    """
    if uniforms is None:
        uniforms = torch.rand(len(logits), device=logits.device)
    return _inverted(_weights(logits, temperature), uniforms[:, None]).squeeze(1)


@torch.no_grad()
def draw_from(
    head: Head, temperature: float, uniforms: Float[Tensor, "rows copies"], at_once: int | None = None
) -> Int[Tensor, "rows copies"]:
    """`draw` from the logits of a linear layer, `copies` tokens a row, the logits of `at_once` rows being held at once.

    On a CPU the layer gives logits in base 2, bias and temperature included, which become weights in the place where
    they are: half the passes of a softmax, and 2^x is faster than e^x. On a GPU that has Triton no logits are written
    to memory (`textgan.kernels`).
    """
    rows = at_once or rows_at_once(len(head.weight), head.outputs.device)
    parts = zip(head.outputs.split(rows), uniforms.split(rows), strict=True)
    device = head.outputs.device.type
    if device != "cpu" or head.outputs.dtype != torch.float32 or torch.is_autocast_enabled(device):
        return torch.cat([_inverted(_weights(head._replace(outputs=some).logits, temperature), u) for some, u in parts])
    layer, most = _in_base_2(head, temperature)
    scratch = layer.new_empty(min(rows, len(uniforms)), layer.shape[1])
    found = []
    for outputs, numbers in parts:
        with_one = torch.cat([outputs, torch.ones_like(outputs[:, :1])], 1)
        weights = torch.mm(with_one, layer, out=scratch[: len(outputs)])
        if with_one.norm(dim=1).amax() * most < SAFE or weights.amax(1).abs().amax() < SAFE:
            weights.exp2_()
        else:
            weights = _weights(head._replace(outputs=outputs).logits, temperature)
        found.append(_inverted(weights, numbers))
    return torch.cat(found)


def _in_base_2(head: Head, temperature: float) -> tuple[Float[Tensor, "width_and_1 words"], Tensor]:
    """The layer that gives ``log2(e) / temperature`` times the logits, its bias for an input of 1.

    The vocabulary is filled up with impossible words to whole blocks. Also, the largest norm of a possible word's
    column: times that of an input it is a bound of scores on both sides.
    """
    layer = torch.cat([head.weight, head.bias[:, None]], 1).mul_(math.log2(math.e) / temperature)
    norms = layer.norm(dim=1)
    layer = F.pad(layer, (0, 0, 0, -len(layer) % BLOCK))
    layer[len(norms) :, -1] = -torch.inf
    return layer.t(), norms[norms.isfinite()].amax()


def _weights(logits: Tensor, temperature: float) -> Tensor:
    return torch.softmax(logits.float() / temperature, -1)


def _inverted(
    weights: Float[Tensor, "rows vocab"], uniforms: Float[Tensor, "rows copies"]
) -> Int[Tensor, "rows copies"]:
    """For each number the first token whose cumulative weight exceeds that share of the row's weights."""
    if weights.shape[1] % BLOCK:
        weights = F.pad(weights, (0, -weights.shape[1] % BLOCK))
    block_sums = weights.unflatten(1, (-1, BLOCK)).sum(-1)
    cumulative = block_sums.cumsum(-1)
    target = uniforms * cumulative[:, -1:]
    block = _first_beyond(target, cumulative)  # (rows, copies)
    before = (cumulative - block_sums).gather(1, block)
    places = block[:, :, None] * BLOCK + torch.arange(BLOCK, device=weights.device)
    within = weights.gather(1, places.flatten(1)).view(places.shape).cumsum(-1)
    return block * BLOCK + _first_beyond((target - before)[:, :, None], within).squeeze(2)


def rows_at_once(vocab: int, device: torch.device) -> int:
    """Of how many rows the logits are best held at once: 8 MB on a CPU, which its caches hold, and 512 MB on a GPU; at
    least 256 rows on a CPU, which repay reading the output layer's weights.
    """
    return max(256, 2**21 // vocab) if device.type == "cpu" else max(1, 2**27 // vocab)


def _first_beyond(target: Float[Tensor, "*rows k"], cumulative: Float[Tensor, "*rows n"]) -> Int[Tensor, "*rows k"]:
    """The first entry whose cumulative sum is beyond each target, and which so has a weight above zero.

    Rounding may have made the target less than nothing or all there is; then the first or the last such entry.
    """
    last = cumulative[..., -1:]
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
    distribution, which is computed once. On the CPU finished sentences leave the batch; on a GPU, where to ask which
    ones would make the host wait, they stay and their tokens are masked.
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
            state = tree_map(lambda a, b: torch.cat([a, b]), state, arriving) if going else arriving
        tokens = torch.cat([some.flatten() for some in drawn])
        sentences[rows, position] = tokens.masked_fill(ended, spec.pad)
        if spec.eos == NONE:
            continue
        ended = ended | (tokens == spec.eos)
        if device.type == "cpu" and ended.any():
            still = (~ended).nonzero().squeeze(1)
            rows, ended = rows[still], ended[still]
            state = take(state, still)
    return sentences


def _next_tokens(
    policy: Policy, state: State, temperature: float, uniforms: Float[Tensor, "rows copies"], at_once: int
) -> Int[Tensor, "rows copies"]:
    """A token for every number of each row of the state, `at_once` rows at a time."""
    if isinstance(policy, LinearPolicy):
        return draw_from(policy.head(state), temperature, uniforms, at_once)
    parts = [slice(first, first + at_once) for first in range(0, len(uniforms), at_once)]
    return torch.cat([_inverted(_weights(policy.logits(take(state, p)), temperature), uniforms[p]) for p in parts])


def take(state: State, rows: Tensor | slice) -> State:
    """Some rows of a state."""
    return tree_map(lambda x: x[rows], state)


def device_of(state: State) -> torch.device:
    """Where a state is."""
    devices: list[torch.device] = []
    tree_map(lambda x: devices.append(x.device), state)
    return devices[0]
