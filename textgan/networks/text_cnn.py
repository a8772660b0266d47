"""The convolutional discriminator: Kim's sentence CNN (2014), a highway layer, dropout, a linear score (SeqGAN)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.spec import NONE, TextSpec
from textgan.errors import UserError
from textgan.networks.text_discriminator import TextDiscriminator, within
from textgan.networks.windows import WordTable, strongest_window

SEQGAN_FILTERS = {
    **{1: 100, 2: 200, 3: 200, 4: 200, 5: 200, 6: 100},
    **{7: 100, 8: 100, 9: 100, 10: 100, 15: 160, 20: 160},
}
"""Filters of each window width in the paper's discriminator (1609.05473)."""

MOST_TABULATED = 2**29
"""Bytes that the tables of a network's responses to words may take."""

Strongest = Callable[..., Tensor]
"""``(sentences, lengths=..., first=...)``: each filter of a width's largest response to the windows from `first` on."""


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
        self._tables: tuple[object, list[WordTable]] | None = None
        """What they are of, and the tables."""

    def features(
        self, tokens: Int[Tensor, "batch length"], shared: int = 0, copies: int = 1
    ) -> Float[Tensor, "batch *votes size"]:
        """What the score is made of, before dropout. On a CPU, responses to roll-outs are looked up (`WordTable`)."""
        tables = self._tables_for(tokens, copies)
        if tables is None:
            return super().features(tokens, shared, copies)
        words = tokens if self.spec.pad == NONE else tokens.masked_fill(tokens == self.spec.pad, self.spec.vocab_size)
        read = [table.strongest for table in tables]
        return self.through_highway(self._strongest(read, words, self.lengths(tokens), shared, copies))

    def _tables_for(self, tokens: Tensor, copies: int) -> list[WordTable] | None:
        """A table for each width, where these pay: many sentences are read between two updates, as roll-outs are."""
        embedding, weights = self.embedding.weight, [window.weight for window in self._convolutions]
        if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or embedding.device.type != "cpu":
            self._tables = None
            return None
        state = [(weight.data_ptr(), weight._version) for weight in (embedding, *weights)]
        if self._tables is not None and self._tables[0] == state:
            return self._tables[1]
        self._tables = None
        size = sum(weight[:, 0].numel() for weight in weights) * (len(embedding) + 1) * embedding.element_size()
        if copies > 1 and self.representations == 1 and tokens.numel() >= len(embedding) and size <= MOST_TABULATED:
            self._tables = state, [WordTable(embedding, weight) for weight in weights]
            return self._tables[1]
        return None

    def features_embedded(
        self,
        inputs: Float[Tensor, "batch length embedding"],
        lengths: Int[Tensor, " batch"] | None = None,
        shared: int = 0,
        copies: int = 1,
    ) -> Float[Tensor, "batch *votes size"]:
        """The highway's output z, of each representation if there are several."""
        if lengths is not None:
            inputs = inputs * within(inputs, lengths)
        read = [partial(strongest_window, weight=window.weight) for window in self._convolutions]
        if self.representations == 1:
            return self.through_highway(self._strongest(read, inputs, lengths, shared, copies))
        parts = inputs.unflatten(2, (self.representations, -1)).transpose(1, 2).flatten(0, 1)
        of_parts = None if lengths is None else lengths.repeat_interleave(self.representations)
        features = self.through_highway(self._strongest(read, parts, of_parts, 0, 1))
        return features.unflatten(0, (-1, self.representations))

    def _strongest(
        self, read: Sequence[Strongest], sentences: Tensor, lengths: Tensor | None, shared: int, copies: int
    ) -> Tensor:
        """The largest response of every filter, each width read in its way."""
        found = []
        for window, strongest in zip(self._convolutions, read, strict=True):
            assert window.bias is not None
            once = max(0, shared - window.kernel_size[0] + 1) if copies > 1 else 0  # windows inside the shared tokens
            best = strongest(sentences, lengths=lengths, first=once)
            if once:
                prefix = strongest(sentences[::copies, :shared], lengths=None, first=0)
                best = torch.maximum(best, prefix.repeat_interleave(copies, 0))
            # Bias and relu are monotone, so they can wait for the one value that is left of each filter.
            found.append(F.relu(best + window.bias))
        return torch.cat(found, 1)

    def through_highway(self, features: Float[Tensor, "*rows size"]) -> Float[Tensor, "*rows size"]:
        """Features from the largest response of every filter."""
        transformed = F.relu(self.highway(features)).type_as(features)  # autocast may have lowered its precision
        return torch.lerp(features, transformed, torch.sigmoid(self.gate(features)).type_as(features))

    @property
    def _convolutions(self) -> list[nn.Conv1d]:
        return [window for window in self.windows if isinstance(window, nn.Conv1d)]
