"""LSTM layers over padded rows: both directions, and one step at a time."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class BidirectionalLSTM(nn.Module):
    """Layers of two LSTMs, one that reads each row forwards and one that reads it backwards from its own last token.

    Padding is never read before a token, so a row's outputs do not depend on how far its batch is padded. Dropout acts
    between the layers, in train mode only; the LSTMs themselves stay as cuDNN wants them to give gradients.
    """

    def __init__(self, inputs: int, hidden: int, layers: int, dropout: float = 0.0) -> None:
        super().__init__()
        sizes = [inputs, *[2 * hidden] * (layers - 1)]
        self.forwards = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in sizes)
        self.backwards = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in sizes)
        self.dropout = nn.Dropout(dropout)
        self.size = 2 * hidden
        """Width of the outputs."""

    def train(self, mode: bool = True) -> BidirectionalLSTM:
        """Dropout's mode."""
        super().train(mode)
        self.forwards.train()
        self.backwards.train()
        return self

    def forward(
        self, inputs: Float[Tensor, "rows length inputs"], lengths: Int[Tensor, " rows"]
    ) -> Float[Tensor, "rows length size"]:
        """The outputs of the last layer; those at padding mean nothing. Lengths are at least 1."""
        positions = torch.arange(inputs.shape[1], device=inputs.device)
        mirrored = (lengths[:, None] - 1 - positions).where(positions < lengths[:, None], positions)[:, :, None]
        for layer, (ahead, back) in enumerate(zip(self.forwards, self.backwards, strict=True)):
            if layer:
                inputs = self.dropout(inputs)
            from_the_end = inputs.gather(1, mirrored.expand_as(inputs))
            read_back = back(from_the_end)[0]
            inputs = torch.cat([ahead(inputs)[0], read_back.gather(1, mirrored.expand_as(read_back))], 2)
        return inputs


def ends(outputs: Float[Tensor, "rows length size"], lengths: Int[Tensor, " rows"]) -> Float[Tensor, "rows size"]:
    """What a `BidirectionalLSTM` knows when it has read a row: the forward half's last output, the backward's first."""
    rows = torch.arange(len(outputs), device=outputs.device)
    half = outputs.shape[2] // 2
    return torch.cat([outputs[rows, lengths - 1, :half], outputs[:, 0, half:]], 1)


def lstm_step(
    lstm: nn.LSTM, inputs: Float[Tensor, "rows inputs"], state: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """(h, c) of a one-layer LSTM after one more input."""
    weights = (getattr(lstm, name) for name in lstm._all_weights[0])
    return torch._VF.lstm_cell(inputs, state, *weights)


def joined(
    context: Int[Tensor, "batch sentences length"], pad: int
) -> tuple[Int[Tensor, "batch tokens"], Bool[Tensor, "batch tokens"]]:
    """The sentences of each context as one row of tokens without the padding between them, and where there are tokens.

    The rows are as long as the longest one, and at least 1.
    """
    flat = context.flatten(1)
    mask = flat != pad
    order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)
    longest = max(1, int(mask.sum(1).max())) if len(flat) else 1
    order = order[:, :longest]
    return flat.gather(1, order), mask.gather(1, order)
