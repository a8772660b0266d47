"""The largest response of each filter over a sentence's windows, and its gradient from these windows alone."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def strongest_window(
    inputs: Float[Tensor, "batch length embedding"],
    weight: Float[Tensor, "filters embedding width"],
    lengths: Int[Tensor, " batch"] | None = None,
    first: int = 0,
) -> Float[Tensor, "batch filters"]:
    """The largest response of each filter, without bias, over the windows within the sentence from `first` on.

    A sentence shorter than the width has its one window. On a CPU the backward pass touches, of each sentence and
    filter, the one window that the maximum is of, where that of a convolution touches them all.
    """
    if first == 0 and inputs.shape[1] == weight.shape[2]:  # one window, which every sentence has: three times faster
        return inputs.flatten(1) @ weight.transpose(1, 2).flatten(1).t()
    if not torch.is_grad_enabled():
        return _responses(inputs, weight, lengths, first).amax(1)
    if first == 0 and inputs.device.type == "cpu" and inputs.dtype == weight.dtype:
        found: Tensor = _Strongest.apply(inputs, weight, lengths)
        return found
    return _responses(inputs, weight, lengths, first).max(1).values


def _responses(inputs: Tensor, weight: Tensor, lengths: Tensor | None, first: int) -> Float[Tensor, "batch n filters"]:
    """Of every window; -inf where one is not within the sentence."""
    # A one-row image with channels last needs no copy of the embeddings and is the fastest convolution on CPUs.
    image = inputs[:, first:].unsqueeze(1).permute(0, 3, 1, 2)  # (B, E, 1, T)
    kernel = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    responses = F.conv2d(image, kernel).squeeze(2).transpose(1, 2)
    return responses if lengths is None else _within(responses, lengths, first, weight.shape[2])


def _within(responses: Tensor, lengths: Tensor, first: int, width: int) -> Tensor:
    """The responses of windows from `first` on; -inf where one is not within its sentence."""
    end = torch.arange(responses.shape[1], device=responses.device) + first + width
    outside = end > lengths.clamp(min=width)[:, None]
    return responses.masked_fill(outside[:, :, None], -torch.inf)


class WordTable:
    """Responses by looking them up: each word's share in that of each filter, for each place in the window.

    A response is then the sum of `width` rows of the table instead of a product with the filters: on a CPU four times
    faster than a convolution, once the table is there, which takes the time of a convolution over as many words as the
    vocabulary has. Records no gradient, and does not follow the weights when they change.
    """

    @torch.no_grad()
    def __init__(self, embedding: Float[Tensor, "vocab embedding"], weight: Float[Tensor, "filters embedding width"]):
        filters, size, self._width = weight.shape
        rows = weight.new_zeros((len(embedding) + 1) * self._width, filters)  # a word's places one after the other
        by_place = weight.permute(1, 2, 0).reshape(size, -1)
        torch.mm(embedding, by_place, out=rows[: -self._width].view(len(embedding), -1))
        self._rows = rows

    @torch.no_grad()
    def strongest(
        self, tokens: Int[Tensor, "batch length"], lengths: Int[Tensor, " batch"] | None = None, first: int = 0
    ) -> Float[Tensor, "batch filters"]:
        """`strongest_window` of the tokens' embeddings. A token that is the vocabulary's size stands for nothing."""
        places = torch.arange(self._width, device=tokens.device)
        windows = tokens[:, first:].unfold(1, self._width, 1) * self._width + places
        responses = F.embedding_bag(windows.flatten(0, 1), self._rows, mode="sum").view(*windows.shape[:2], -1)
        return (responses if lengths is None else _within(responses, lengths, first, self._width)).amax(1)


class _Strongest(torch.autograd.Function):
    """With g the gradient of the maximum m(b, f), which is the response of window n(b, f) of sentence b to filter f::

        dL/dweight[f] = sum_b g(b, f) window[b, n(b, f)],    dL/dwindow[b, n] = sum_{f: n(b, f) = n} g(b, f) weight[f]

    Both are weighted sums of rows of a table. The backward pass is differentiable in its turn.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, lengths: Tensor | None) -> Tensor:
        values, place = _responses(inputs, weight, lengths, 0).max(1)
        ctx.save_for_backward(inputs, weight, place)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        inputs, weight, place = ctx.saved_tensors
        gradient = gradients[0].to(weight.dtype)
        batch, length, size = inputs.shape
        filters, _, width = weight.shape
        count = length - width + 1
        window = place + count * torch.arange(batch)[:, None]  # (B, F), among those of all sentences

        rows = inputs.contiguous().as_strided((batch, count, width * size), (length * size, size, 1)).flatten(0, 1)
        of_weight = F.embedding_bag(window.t().contiguous(), rows, None, mode="sum",
                                    per_sample_weights=gradient.t().contiguous())  # fmt: skip

        order = place.argsort(1)  # of each sentence, the filters of its first window, of its second, ...
        held = torch.bincount(window.flatten(), minlength=batch * count)
        of_windows = F.embedding_bag(
            order.flatten(), weight.transpose(1, 2).flatten(1), held.cumsum(0) - held, mode="sum",
            per_sample_weights=gradient.gather(1, order).flatten(),
        ).view(batch, count, width, size)  # fmt: skip
        of_inputs = torch.zeros_like(inputs)
        for k in range(width):
            of_inputs[:, k : k + count] += of_windows[:, :, k]
        return of_inputs, of_weight.view(filters, width, size).transpose(1, 2), None
