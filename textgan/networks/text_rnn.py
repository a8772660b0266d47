"""The recurrent discriminator: a bidirectional LSTM, the mean of its outputs over the sentence, a linear score."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from textgan.data.spec import TextSpec
from textgan.networks.recurrent import BidirectionalLSTM
from textgan.networks.text_discriminator import TextDiscriminator, within


class TextRNN(TextDiscriminator):
    """Features: the mean over the sentence's places of what an LSTM read up to there from either side."""

    def __init__(
        self, spec: TextSpec, embedding: int, hidden: int, layers: int = 1, dropout: float = 0.25, outputs: int = 1
    ) -> None:
        super().__init__(spec, embedding, 2 * hidden, dropout, outputs)
        self.lstm = BidirectionalLSTM(embedding, hidden, layers, dropout)

    def features_embedded(
        self,
        inputs: Float[Tensor, "batch length embedding"],
        lengths: Int[Tensor, " batch"] | None = None,
        shared: int = 0,
        copies: int = 1,
    ) -> Float[Tensor, "batch size"]:
        """The mean of the LSTM's outputs over the sentence."""
        inside = within(inputs, None if lengths is None else lengths.clamp(min=1))
        ends = inside.sum(1).squeeze(1)
        return (self.lstm(inputs, ends) * inside).sum(1) / inside.sum(1)
