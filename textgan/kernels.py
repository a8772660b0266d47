"""Triton kernels that draw tokens from a linear layer without writing its logits to memory.

A GPU's memory would take them longer than its cores: 19,456 roll-outs and 5,000 words are 390 MB a step. `block_sums`
computes the logits tile by tile and leaves one number a block of words; `first_beyond` computes those of the one block
that a row's random number falls into once more. `textgan.categorical` does what is between them, which is small.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

DEPTH = 16
"""Units of an output that a program reads at a time; more would not fit its registers."""


@triton.jit
def _scores(outputs, weight, bias, row, is_row, word, vocab, width, scale, DEPTH: tl.constexpr):
    """Logits of a tile, times `scale`; -inf beyond the vocabulary."""
    scores = tl.zeros((row.shape[0], word.shape[0]), tl.float32)
    for first in range(0, width, DEPTH):
        unit = first + tl.arange(0, DEPTH)
        inside = unit < width
        x = tl.load(outputs + row[:, None] * width + unit[None], is_row[:, None] & inside[None], 0.0)
        w = tl.load(weight + word[None] * width + unit[:, None], (word < vocab)[None] & inside[:, None], 0.0)
        scores = tl.dot(x.to(tl.float32), w.to(tl.float32), scores, input_precision="ieee")
    return (scores + tl.load(bias + word, word < vocab, -float("inf"))[None]) * scale


@triton.jit
def _block_sums(
    outputs, weight, bias, tops, sums, rows, vocab, width, blocks, scale,
    ROWS: tl.constexpr, WORDS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    block = tl.program_id(1)
    word = block * WORDS + tl.arange(0, WORDS)
    scores = _scores(outputs, weight, bias, row, row < rows, word, vocab, width, scale, DEPTH)
    top = tl.max(scores, 1)
    shift = tl.where(top == -float("inf"), 0.0, top)
    tl.store(tops + row * blocks + block, top, row < rows)
    tl.store(sums + row * blocks + block, tl.sum(tl.exp2(scores - shift[:, None]), 1), row < rows)


@triton.jit
def _first_beyond(
    outputs, weight, bias, picked, tops, targets, found, rows, vocab, width, scale,
    ROWS: tl.constexpr, WORDS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    is_row = row < rows
    word = tl.load(picked + row, is_row, 0)[:, None] * WORDS + tl.arange(0, WORDS)[None]
    is_word = is_row[:, None] & (word < vocab)
    scores = tl.zeros((ROWS, WORDS), tl.float32)
    for first in range(0, width, DEPTH):
        unit = first + tl.arange(0, DEPTH)
        inside = unit < width
        x = tl.load(outputs + row[:, None] * width + unit[None], is_row[:, None] & inside[None], 0.0)
        where = is_word[:, :, None] & inside[None, None]
        w = tl.load(weight + word[:, :, None] * width + unit[None, None], where, 0.0)
        scores += tl.sum(x.to(tl.float32)[:, None] * w.to(tl.float32), 2)
    scores = (scores + tl.load(bias + word, is_word, -float("inf"))) * scale
    top = tl.load(tops + row, is_row, 0.0)
    cumulative = tl.cumsum(tl.exp2(scores - top[:, None]), 1)
    last = tl.max(cumulative, 1)
    # Rounding may have made the target less than nothing or all there is; a word without weight is never the first.
    target = tl.minimum(tl.maximum(tl.load(targets + row, is_row, 0.0), 0.0), last * (1 - 2.0**-23))
    before = tl.sum((cumulative <= target[:, None]).to(tl.int64), 1)
    tl.store(found + row, tl.load(picked + row, is_row, 0) * WORDS + before, is_row)


def block_sums(
    outputs: Float[Tensor, "rows width"],
    weight: Float[Tensor, "vocab width"],
    bias: Float[Tensor, " vocab"],
    scale: float,
    words: int,
    rows_a_program: int = 64,
) -> tuple[Float[Tensor, "rows blocks"], Float[Tensor, "rows blocks"]]:
    """Of every block of `words` words: the largest s = scale logit, and the sum of 2^(s - largest).

    `words` and `rows_a_program` are powers of 2, at least 16. All tensors are contiguous.
    """
    (rows, width), vocab = outputs.shape, len(weight)
    blocks = triton.cdiv(vocab, words)
    largest = outputs.new_empty(rows, blocks, dtype=torch.float32)
    sums = torch.empty_like(largest)
    with torch.cuda.device_of(outputs):  # or Triton starts them on the current one
        _block_sums[triton.cdiv(rows, rows_a_program), blocks](
            outputs, weight, bias, largest, sums, rows, vocab, width, blocks, scale,
            ROWS=rows_a_program, WORDS=words, DEPTH=DEPTH,
        )  # fmt: skip
    return largest, sums


def first_beyond(
    outputs: Float[Tensor, "rows width"],
    weight: Float[Tensor, "vocab width"],
    bias: Float[Tensor, " vocab"],
    scale: float,
    words: int,
    block: Int[Tensor, " rows"],
    shift: Float[Tensor, " rows"],
    targets: Float[Tensor, " rows"],
    rows_a_program: int = 4,
) -> Int[Tensor, " rows"]:
    """The first word of each row's block at which the sum of 2^(s - shift) over the block is beyond the target.

    A target that rounding has made less than nothing, or all there is, counts as the nearest that is neither.
    """
    (rows, width), vocab = outputs.shape, len(weight)
    found = torch.empty_like(block)
    with torch.cuda.device_of(outputs):
        _first_beyond[(triton.cdiv(rows, rows_a_program),)](
            outputs, weight, bias, block, shift, targets, found, rows, vocab, width, scale,
            ROWS=rows_a_program, WORDS=words, DEPTH=DEPTH,
        )  # fmt: skip
    return found
