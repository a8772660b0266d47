"""The LSTM generator of SeqGAN and its kin: embedding, one LSTM layer, a linear output over the vocabulary."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.spec import TextSpec
from textgan.networks.recurrent import lstm_step
from textgan.networks.text_generator import EmbeddingGenerator

LSTMState = tuple[Tensor, Tensor]
"""Output h and cell c of each row, both ``(rows, hidden)``."""


class LSTMGenerator(EmbeddingGenerator):
    """p(y_t | y_1..t-1) = softmax(output(h_t)), h_t = LSTM(h_t-1, embedding(y_t-1)), y_0 the begin mark, h_0 = 0.

    Every parameter starts from N(0, init_std^2), or as torch's layers do if that is None. Parameters carry the
    names ``embedding``, ``lstm``, ``output`` and torch's LSTM layout (gates i, f, g, o).
    """

    def __init__(
        self,
        spec: TextSpec,
        embedding: int,
        hidden: int,
        dropout: float = 0.0,
        init_std: float | None = None,
        condition: int = 0,
    ) -> None:
        super().__init__(spec, embedding, hidden, dropout, condition)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        if init_std is not None:
            for parameter in self.parameters():
                nn.init.normal_(parameter, std=init_std)

    def train(self, mode: bool = True) -> LSTMGenerator:
        """Dropout's mode. The LSTM, which has none of its own, stays as cuDNN wants it to give gradients."""
        super().train(mode)
        self.lstm.train()
        return self

    def begin(self, rows: int) -> LSTMState:
        """The state before anything is read."""
        zeros = self.output.weight.new_zeros(rows, self.width)
        return zeros, zeros

    def read(self, inputs: Float[Tensor, "rows embedding"], state: LSTMState) -> LSTMState:
        """The state after one more input."""
        return lstm_step(self.lstm, inputs, state)

    def output_of(self, state: LSTMState) -> Float[Tensor, "rows width"]:
        """h."""
        return state[0]

    def outputs_embedded(self, inputs: Float[Tensor, "batch length embedding"]) -> Float[Tensor, "batch length width"]:
        """h after each input of whole rows."""
        return self.lstm(inputs)[0]
