"""The convolutional discriminator: Kim's sentence CNN (2014), a highway layer, dropout, a linear score (SeqGAN)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.spec import TextSpec
from textgan.errors import UserError
from textgan.networks.text_discriminator import TextDiscriminator, within
from textgan.networks.windows import strongest_window

SEQGAN_FILTERS = {
    **{1: 100, 2: 200, 3: 200, 4: 200, 5: 200, 6: 100},
    **{7: 100, 8: 100, 9: 100, 10: 100, 15: 160, 20: 160},
}
"""Filters of each window width in the paper's discriminator (1609.05473)."""


class TextCNN(TextDiscriminator):
    """For each width w, f_w = max over windows of relu(conv_w(embedding)); x = all f_w side by side; then the highway
    z = t relu(W x + b) + (1 - t) x with t = sigmoid(W' x + b'), b' = -2 at first; dropout; linear.

    Only windows that lie wholly within the sentence count, so that the score does not depend on how far a batch is
    padded; a sentence shorter than the width has its one window, filled with zeros. Widths longer than the longest
    sentence are left out. Raises `UserError` if none is left or the filters do not match the widths.

    With `representations` R above 1, the R parts of an embedding are each read by the same filters, as if R words of
    that part's width had been written one above the other: R votes a sentence (RelGAN, Nie et al., ICLR 2019).
    """

    def __init__(
        self,
        spec: TextSpec,
        widths: Sequence[int] = tuple(SEQGAN_FILTERS),
        filters: Sequence[int] = tuple(SEQGAN_FILTERS.values()),
        embedding: int = 64,
        dropout: float = 0.25,
        outputs: int = 1,
        representations: int = 1,
    ) -> None:
        if len(widths) != len(filters):
            raise UserError(f"filters (={tuple(filters)}) must be as many as widths (={tuple(widths)})")
        fitting = [(width, count) for width, count in zip(widths, filters, strict=True) if width <= spec.length]
        if not fitting:
            raise UserError(f"widths (={tuple(widths)}) must include one of at most {spec.length} tokens")
        if embedding % representations:
            raise UserError(f"embedding (={embedding}) must be divisible by representations (={representations})")
        super().__init__(spec, embedding, sum(count for _, count in fitting), dropout, outputs)
        self.representations = representations
        part = embedding // representations
        self.windows = nn.ModuleList(nn.Conv1d(part, count, width) for width, count in fitting)
        self.highway = nn.Linear(self.size, self.size)
        self.gate = nn.Linear(self.size, self.size)
        nn.init.constant_(self.gate.bias, -2.0)

    def features_embedded(
        self,
        inputs: Float[Tensor, "batch length embedding"],
        lengths: Int[Tensor, " batch"] | None = None,
        shared: int = 0,
        copies: int = 1,
    ) -> Float[Tensor, "batch *votes size"]:
        """The highway's output z, of each representation if there are several."""
        if self.representations == 1:
            return self.through_highway(self._strongest(inputs, lengths, shared, copies))
        parts = inputs.unflatten(2, (self.representations, -1)).transpose(1, 2).flatten(0, 1)
        of_parts = None if lengths is None else lengths.repeat_interleave(self.representations)
        return self.through_highway(self._strongest(parts, of_parts, 0, 1)).unflatten(0, (-1, self.representations))

    def _strongest(self, inputs: Tensor, lengths: Tensor | None, shared: int, copies: int) -> Tensor:
        """The largest response of every filter."""
        if lengths is not None:
            inputs = inputs * within(inputs, lengths)
        found = []
        for window in self.windows:
            assert isinstance(window, nn.Conv1d)
            assert window.bias is not None
            width = window.kernel_size[0]
            once = max(0, shared - width + 1) if copies > 1 else 0  # windows inside the shared tokens
            best = strongest_window(inputs, window.weight, lengths, once)
            if once:
                prefix = strongest_window(inputs[::copies, :shared], window.weight, None, 0)
                best = torch.maximum(best, prefix.repeat_interleave(copies, 0))
            # Bias and relu are monotone, so they can wait for the one value that is left of each filter.
            found.append(F.relu(best + window.bias))
        return torch.cat(found, 1)

    def through_highway(self, features: Float[Tensor, "*rows size"]) -> Float[Tensor, "*rows size"]:
        """Features from the largest response of every filter."""
        transformed = F.relu(self.highway(features)).type_as(features)  # autocast may have lowered its precision
        return torch.lerp(features, transformed, torch.sigmoid(self.gate(features)).type_as(features))
