"""Features of a sentence as it grows: what a convolutional discriminator sees after each word, one word at a time."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.networks.text_cnn import TextCNN


class Prefix(NamedTuple):
    """What is kept of the words read so far, a row a sentence."""

    recent: Tensor
    """The last words ``(rows, widest window)``, the newest at the end."""
    length: Tensor
    """Words read ``(rows,)``."""
    best: Tensor
    """The largest response of every filter so far, without its bias, ``(rows, filters)``."""


class PrefixFeatures:
    """Reads sentences through a `TextCNN`: ``features(state)`` are its features of the words read so far, exactly.

    A word costs each filter one response, to the window that ends with it (or, as long as the sentence is shorter than
    the window, to the sentence filled with zeros), and the highway: ``sum(width embedding filters) + 2 features^2``
    multiplications a row, where reading every prefix anew costs T times the first. No gradient reaches the network.
    """

    def __init__(self, network: TextCNN) -> None:
        assert network.representations == 1
        self._network = network
        self.size = network.size
        """Number of features."""

    def start(self, rows: int) -> Prefix:
        """Nothing was read: every window is all zeros."""
        weight = self._network.embedding.weight
        recent = torch.zeros(rows, max(_width(w) for w in self._windows), dtype=torch.int64, device=weight.device)
        return Prefix(recent, recent.new_zeros(rows), weight.new_zeros(rows, self.size))

    @torch.no_grad()
    def advance(self, tokens: Int[Tensor, " rows"], state: Prefix) -> Prefix:
        """The state after one more word."""
        recent = torch.cat([state.recent[:, 1:], tokens.clamp(min=0)[:, None]], 1)
        length = state.length + 1
        words = self._network.embedding(recent)
        found, grown = [], []
        for window in self._windows:
            width = _width(window)
            held = length.clamp(max=width)[:, None]
            place = torch.arange(width, device=tokens.device)
            source = (recent.shape[1] - held + place).clamp(max=recent.shape[1] - 1)
            inside = words.gather(1, source[:, :, None].expand(-1, -1, words.shape[2])) * (place < held)[:, :, None]
            found.append(inside.flatten(1) @ window.weight.transpose(1, 2).flatten(1).t())
            grown.append((length > width)[:, None].expand(-1, window.out_channels))
        response = torch.cat(found, 1).type_as(state.best)
        best = torch.where(torch.cat(grown, 1), torch.maximum(state.best, response), response)
        return Prefix(recent, length, best)

    @torch.no_grad()
    def features(self, best: Float[Tensor, "*rows filters"]) -> Float[Tensor, "*rows filters"]:
        """The features, given `Prefix.best`."""
        bias = torch.cat([window.bias for window in self._windows if window.bias is not None])
        return self._network.through_highway(F.relu(best + bias)).float()

    def of_rows(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length_1 filters"]:
        """Features of the first 0, 1, ..., T words of whole rows; where these reach into padding, they mean nothing."""
        state = self.start(len(tokens))
        best = [state.best]
        for column in tokens.unbind(1):
            state = self.advance(column, state)
            best.append(state.best)
        return self.features(torch.stack(best, 1))

    @property
    def _windows(self) -> list[nn.Conv1d]:
        return [window for window in self._network.windows if isinstance(window, nn.Conv1d)]


def _width(window: nn.Conv1d) -> int:
    return window.kernel_size[0]
