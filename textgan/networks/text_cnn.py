"""The convolutional discriminator of SeqGAN: Kim's sentence CNN (2014), a highway layer, dropout, a linear score."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.spec import NONE, TextSpec
from textgan.errors import UserError

SEQGAN_FILTERS = {
    **{1: 100, 2: 200, 3: 200, 4: 200, 5: 200, 6: 100},
    **{7: 100, 8: 100, 9: 100, 10: 100, 15: 160, 20: 160},
}
"""Filters of each window width in the paper's discriminator (1609.05473)."""


class TextCNN(nn.Module):
    """A score of a sentence: the higher, the more real.

    For each width w, f_w = max over windows of relu(conv_w(embedding)); x = all f_w side by side; then the highway
    z = t relu(W x + b) + (1 - t) x with t = sigmoid(W' x + b'), b' = -2 at first; dropout; linear.

    Only windows that lie wholly within the sentence count, so that the score does not depend on how far a batch is
    padded; a sentence shorter than the width has its one window, filled with zeros. Widths longer than the longest
    sentence are left out. Raises `UserError` if none is left or the filters do not match the widths.
    """

    def __init__(
        self,
        spec: TextSpec,
        widths: Sequence[int] = tuple(SEQGAN_FILTERS),
        filters: Sequence[int] = tuple(SEQGAN_FILTERS.values()),
        embedding: int = 64,
        dropout: float = 0.25,
    ) -> None:
        super().__init__()
        if len(widths) != len(filters):
            raise UserError(f"filters (={tuple(filters)}) must be as many as widths (={tuple(widths)})")
        fitting = [(width, count) for width, count in zip(widths, filters, strict=True) if width <= spec.length]
        if not fitting:
            raise UserError(f"widths (={tuple(widths)}) must include one of at most {spec.length} tokens")
        self.spec = spec
        self.embedding = nn.Embedding(spec.vocab_size, embedding)
        self.windows = nn.ModuleList(nn.Conv1d(embedding, count, width) for width, count in fitting)
        self.size = sum(count for _, count in fitting)
        """Number of features."""
        self.highway = nn.Linear(self.size, 2 * self.size)  # W and W'
        nn.init.constant_(self.highway.bias[self.size :], -2.0)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(self.size, 1)

    def forward(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, " batch"]:
        """The score: a logit."""
        return self.output(self.dropout(self.features(tokens))).squeeze(1)

    def features(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch size"]:
        """The highway's output z, before dropout."""
        lengths = None if self.spec.pad == NONE else (tokens != self.spec.pad).sum(1)
        tokens = tokens.clamp(min=0)
        return self.features_embedded(self.embedding(tokens), lengths)

    def features_embedded(
        self, inputs: Float[Tensor, "batch length embedding"], lengths: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch size"]:
        """`features` of tokens given by embeddings or mixtures of them. Lengths of None: all are full."""
        positions = torch.arange(inputs.shape[1], device=inputs.device)
        if lengths is not None:
            inputs = inputs * (positions < lengths[:, None])[:, :, None]
        # One-row images with channels last: no copy of the embeddings, and the fastest path on CPUs.
        image = inputs.unsqueeze(1).permute(0, 3, 1, 2)  # (B, E, 1, T)
        found = []
        for window in self.windows:
            assert isinstance(window, nn.Conv1d)
            assert window.bias is not None
            width = window.kernel_size[0]
            kernel = window.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
            score = F.conv2d(image, kernel).squeeze(2).transpose(1, 2)  # (B, T - width + 1, F)
            if lengths is not None:
                outside = positions[: score.shape[1]] + width > lengths.clamp(min=width)[:, None]
                score = score.masked_fill(outside[:, :, None], -torch.inf)
            # Bias and relu are monotone, so they can wait for the one value that is left of each filter.
            found.append(F.relu(_largest(score) + window.bias))
        features = torch.cat(found, 1)
        candidate, gate = self.highway(features).chunk(2, 1)
        return torch.lerp(features, F.relu(candidate), torch.sigmoid(gate))

    def output_penalty(self) -> Float[Tensor, ""]:
        """Half the sum of squares of the output layer's weight and bias."""
        return (self.output.weight.square().sum() + self.output.bias.square().sum()) / 2


def _largest(score: Float[Tensor, "batch windows filters"]) -> Float[Tensor, "batch filters"]:
    """The largest value over the windows: amax is the faster one forwards, max backwards."""
    return score.max(1).values if torch.is_grad_enabled() else score.amax(1)
