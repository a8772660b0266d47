"""LSTMs that write and judge time series, one step after the other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.series import SeriesSpec
from textgan.errors import check_at_least


@dataclass(frozen=True)
class RecurrentConfig:
    """An LSTM."""

    hidden: int = 64
    """Units of a layer."""
    layers: int = 1
    """Layers, each of which reads the outputs of the one below."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "hidden", "layers")


class RecurrentGenerator(nn.Module):
    """``x_t = A h_t + b, h_t = LSTM(h_t-1, z_t)``; with `feedback` it reads ``[z_t, x_t-1]``, x_0 = 0."""

    def __init__(self, config: RecurrentConfig, spec: SeriesSpec, inputs: int, feedback: bool = False) -> None:
        super().__init__()
        self.channels, self.feedback = spec.channels, feedback
        read = inputs + spec.channels * feedback
        self.lstm = nn.LSTM(read, config.hidden, config.layers, batch_first=True)
        self.output = nn.Linear(config.hidden, spec.channels)

    def forward(self, latents: Float[Tensor, "n length inputs"]) -> Float[Tensor, "n length channels"]:
        if not self.feedback:
            return self.output(self.lstm(latents)[0])
        last, state, written = latents.new_zeros(len(latents), 1, self.channels), None, []
        for latent in latents.split(1, 1):
            outputs, state = self.lstm(torch.cat([latent, last], 2), state)
            last = self.output(outputs)
            written.append(last)
        return torch.cat(written, 1)


class RecurrentDiscriminator(nn.Module):
    """A score at every step, of what was read up to there or, with `both_ways`, of what comes as well.

    `bias`: of the last layer; without one where the objective does not see it.
    """

    def __init__(self, config: RecurrentConfig, spec: SeriesSpec, both_ways: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.lstm = nn.LSTM(spec.channels, config.hidden, config.layers, batch_first=True, bidirectional=both_ways)
        self.output = nn.Linear(config.hidden * (1 + both_ways), 1, bias=bias)

    def forward(self, windows: Float[Tensor, "n length channels"]) -> Float[Tensor, "n length"]:
        return self.output(self.lstm(windows)[0]).squeeze(2)
