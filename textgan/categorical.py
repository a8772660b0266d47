"""Draws of tokens: from rows of logits, or from the linear layer that would give them, by inversion."""

from __future__ import annotations

import math
import warnings
from functools import cache
from types import ModuleType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

BLOCK = 64
"""Tokens a block of `draw`."""

LOG2_E = math.log2(math.e)

SAFE = 60.0
"""2^x is taken of scores as they are where none is further from 0: there their sum neither overflows nor vanishes."""


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
    return draw_copies(logits, temperature, uniforms[:, None]).squeeze(1)


@torch.no_grad()
def draw_copies(
    logits: Float[Tensor, "rows vocab"], temperature: float, uniforms: Float[Tensor, "rows copies"]
) -> Int[Tensor, "rows copies"]:
    """`draw` of several tokens a row, one for each number."""
    weights = torch.softmax(logits.float() / temperature, -1)
    if weights.shape[1] % BLOCK:
        weights = F.pad(weights, (0, -weights.shape[1] % BLOCK))
    return _token(_block(weights, uniforms))


@torch.no_grad()
def draw_from(
    head: Head, temperature: float, uniforms: Float[Tensor, "rows copies"], at_once: int | None = None
) -> Int[Tensor, "rows copies"]:
    """`draw` from the logits of a linear layer, `copies` tokens a row, the logits of `at_once` rows being held at once.

    On a CPU the layer gives logits in base 2, bias and temperature included, which become weights in the place where
    they are: half the passes of a softmax, and 2^x is faster than e^x. On a GPU that has Triton no logits are written
    to memory (`textgan.kernels`).
    """
    device, dtype = head.outputs.device, head.outputs.dtype
    rows = at_once or rows_at_once(len(head.weight), device)
    kernels = kernels_on(device)
    if kernels is not None and dtype != torch.float64:
        whole = head._replace(outputs=head.outputs.repeat_interleave(uniforms.shape[1], 0))
        return draw_without_logits(kernels, whole, temperature, uniforms.flatten(), 8 * rows).view(uniforms.shape)
    if device.type == "cpu" and dtype == torch.float32 and not torch.is_autocast_enabled("cpu"):
        return _draw_in_base_2(head, temperature, uniforms, rows)
    parts = zip(head.outputs.split(rows), uniforms.split(rows), strict=True)
    return torch.cat([draw_copies(head._replace(outputs=some).logits, temperature, u) for some, u in parts])


def _draw_in_base_2(
    head: Head, temperature: float, uniforms: Float[Tensor, "rows copies"], at_once: int
) -> Int[Tensor, "rows copies"]:
    """Scores are base-2 logarithms of the weights, which take their place."""
    layer, most = _in_base_2(head, temperature)
    inputs = torch.cat([head.outputs, torch.ones_like(head.outputs[:, :1])], 1)
    is_safe = inputs.norm(dim=1).amax() * most < SAFE
    scratch = layer.new_empty(min(at_once, len(uniforms)), layer.shape[1])
    found = []
    for some, numbers in zip(inputs.split(at_once), uniforms.split(at_once), strict=True):
        weights = torch.mm(some, layer, out=scratch[: len(some)])
        if not is_safe:
            weights.sub_(weights.amax(1, keepdim=True))
        found.append(_block(weights.exp2_(), numbers))
    return _token(_Block(*(torch.cat(parts) for parts in zip(*found, strict=True))))


def draw_without_logits(
    kernels: ModuleType,
    head: Head,
    temperature: float,
    uniforms: Float[Tensor, " rows"],
    at_once: int,
    **rows_a_program: int,
) -> Int[Tensor, " rows"]:
    """`draw` by `textgan.kernels`, which compute logits twice and keep none: a number for each block of words."""
    weight, bias, scale = head.weight.contiguous(), head.bias.contiguous(), LOG2_E / temperature
    found = []
    for outputs, numbers in zip(head.outputs.contiguous().split(at_once), uniforms.split(at_once), strict=True):
        layer = outputs, weight, bias, scale, BLOCK
        largest, sums = kernels.block_sums(*layer, **rows_a_program)
        shift = largest.amax(1)
        sums *= torch.exp2(largest - shift[:, None])
        cumulative = sums.cumsum(1)
        target = numbers[:, None] * cumulative[:, -1:]
        block = first_beyond(target, cumulative)
        rest = target - (cumulative - sums).gather(1, block)
        found.append(kernels.first_beyond(*layer, block.squeeze(1), shift, rest.squeeze(1), **rows_a_program))
    return torch.cat(found)


def kernels_on(device: torch.device) -> ModuleType | None:
    """`textgan.kernels`, where they are of use: on a GPU for which Triton is there and does what it should."""
    return checked_kernels(device) if device.type == "cuda" else None


@cache
def checked_kernels(device: torch.device) -> ModuleType | None:
    """`textgan.kernels` if with them tokens are drawn that are drawn without; else None and, with Triton, a warning."""
    try:
        from textgan import kernels  # Triton comes with torch for GPUs
    except ImportError:
        return None
    generator = torch.Generator().manual_seed(0)
    sizes = ((300, 40), (200, 40), (200,), (300,))
    outputs, weight, bias, uniforms = given = [torch.rand(size, generator=generator) for size in sizes]
    plain = draw(outputs @ weight.t() + bias, uniforms=uniforms)
    try:
        *layer, numbers = (part.to(device) for part in given)
        drawn = draw_without_logits(kernels, Head(*layer), 1.0, numbers, len(numbers)).cpu()
    except Exception as error:  # of a compiler, a driver, ...: nothing that a draw depends on
        warnings.warn(f"tokens are drawn without Triton, which fails on {device}: {error}", stacklevel=2)
        return None
    if (drawn == plain).double().mean() < 0.98:  # they differ where a number is at the boundary of two tokens
        warnings.warn(f"tokens are drawn without Triton, which draws other ones on {device}", stacklevel=2)
        return None
    return kernels


def _in_base_2(head: Head, temperature: float) -> tuple[Float[Tensor, "width_and_1 words"], Tensor]:
    """The layer that gives ``log2(e) / temperature`` times the logits, its bias for an input of 1.

    The vocabulary is filled up with impossible words to whole blocks. Also, the largest norm of a possible word's
    column: times that of an input it is a bound of scores on both sides.
    """
    layer = torch.cat([head.weight, head.bias[:, None]], 1).mul_(LOG2_E / temperature)
    norms = layer.norm(dim=1)
    layer = F.pad(layer, (0, 0, 0, -len(layer) % BLOCK))
    layer[len(norms) :, -1] = -torch.inf
    return layer.t(), torch.where(norms.isfinite(), norms, 0.0).amax()


class _Block(NamedTuple):
    """Which block each number falls into."""

    block: Int[Tensor, "rows copies"]
    rest: Float[Tensor, "rows copies"]
    """What the number asks of it: a cumulative weight."""
    weights: Float[Tensor, "rows copies words"]
    """Of its words."""


def _block(weights: Float[Tensor, "rows words"], uniforms: Float[Tensor, "rows copies"]) -> _Block:
    """The first block with which the cumulative weight exceeds each number's share of the row's weights."""
    blocks = weights.unflatten(1, (-1, BLOCK))
    sums = blocks.sum(-1)
    cumulative = sums.cumsum(-1)
    target = uniforms * cumulative[:, -1:]
    block = first_beyond(target, cumulative)
    before = (cumulative - sums).gather(1, block)
    return _Block(block, target - before, blocks.gather(1, block[:, :, None].expand(-1, -1, BLOCK)))


def _token(found: _Block) -> Int[Tensor, "rows copies"]:
    """The first token in the block with which the cumulative weight exceeds what is asked."""
    return found.block * BLOCK + first_beyond(found.rest[:, :, None], found.weights.cumsum(-1)).squeeze(2)


def rows_at_once(vocab: int, device: torch.device) -> int:
    """Of how many rows the logits are best held at once: 8 MB on a CPU, which its caches hold, and 512 MB on a GPU; at
    least 256 rows on a CPU, which repay reading the output layer's weights.
    """
    return max(256, 2**21 // vocab) if device.type == "cpu" else max(1, 2**27 // vocab)


def first_beyond(target: Float[Tensor, "*rows k"], cumulative: Float[Tensor, "*rows n"]) -> Int[Tensor, "*rows k"]:
    """The first entry whose cumulative sum is beyond each target, and which so has a weight above zero.

    Rounding may have made the target less than nothing or all there is; then the first or the last such entry.
    """
    last = cumulative[..., -1:]
    below = torch.nextafter(last, torch.zeros_like(last))
    return torch.searchsorted(cumulative, torch.minimum(target.clamp(min=0), below), right=True)
