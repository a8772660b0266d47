"""Maximum likelihood (teacher forcing): the baseline that every text GAN starts from and is held against.

Minimises the cross-entropy of each token given the true ones before it, in nats per token::

    L = -sum_bt log p(y_bt | y_b,<t) / number of tokens

Sampling at a temperature below 1 trades diversity for quality; that curve is what a GAN has to leave behind
("Language GANs Falling Short", Caccia et al., 2018).

Differs from the paper: no paper; the oracle preset is the pre-training of SeqGAN (Yu et al., 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.errors import check_above_zero, check_at_least, check_share
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.networks.lstm import LSTMGenerator
from textgan.networks.modes import evaluating
from textgan.sampling import sample


@dataclass(frozen=True)
class Config:
    """Maximum likelihood."""

    embedding: int = 64
    """Width of the generator's word embeddings."""
    hidden: int = 128
    """Units of the generator's LSTM."""
    init_std: float | None = None
    """Standard deviation of the generator's first weights, all of them. None: torch's own initialisation."""
    dropout: float = 0.2
    """Dropout on the generator's embeddings and outputs while it learns, in [0, 1)."""
    batch_size: int = 64
    """Sentences a step."""
    epochs: int = 8
    """Passes over the corpus."""
    learning_rate: float = 3e-3
    """Adam's step size."""
    clip: float = 5.0
    """Largest gradient norm."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "embedding", "hidden", "batch_size")
        check_at_least(0, "game", self, "epochs")
        check_above_zero("game", self, "init_std", "learning_rate", "clip")
        check_share("game", self, "dropout")


TINY = Config(embedding=16, hidden=16, epochs=2, batch_size=32)


class MLE(Game):
    """One player, one stage."""

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        self.batch_size = config.batch_size
        self.generator = LSTMGenerator(spec, config.embedding, config.hidden, config.dropout, config.init_std)

    def optimizers(self) -> dict[str, Optimizer]:
        return {"generator": Adam(self.generator.parameters(), lr=self.config.learning_rate)}

    def stages(self) -> Sequence[Stage]:
        epoch = math.ceil(self.spec.train_size / self.batch_size)
        move = Move("generator", self._likelihood, times=epoch, clip=self.config.clip)
        return [Stage("likelihood", self.config.epochs, [move])]

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """``(n, T)`` token ids."""
        with evaluating(self.generator):
            return sample(self.generator, self.spec, n, temperature)

    def log_probs(self, tokens: Tensor, temperature: float = 1.0) -> Tensor:
        """Log-probability in nats of each token ``(B, T)`` given those before it; 0 at padding."""
        return self.generator.log_probs(tokens, temperature)

    def _likelihood(self, real: Tensor, turn: Turn) -> Loss:
        tokens = (real != self.spec.pad).sum()
        return Loss({"nll": -self.generator.log_probs(real).sum() / tokens})
