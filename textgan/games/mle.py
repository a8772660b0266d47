"""Maximum likelihood (teacher forcing): the baseline that every text GAN starts from and is held against.

Minimises the cross-entropy of each token given the true ones before it, in nats per token::

    L = -sum_bt log p(y_bt | y_b,<t) / number of tokens

Sampling at a temperature below 1 trades diversity for quality; that curve is what a GAN has to leave behind
("Language GANs Falling Short", Caccia et al., 2018).

Differs from the paper: no paper; the oracle preset is the pre-training of SeqGAN (Yu et al., 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from textgan.game import Loss, Turn
from textgan.networks.generators import GeneratorConfig
from textgan.parts.one_player import OnePlayerConfig, OnePlayerGame


@dataclass(frozen=True)
class Config(OnePlayerConfig):
    """Maximum likelihood."""

    epochs: int = 8
    """Passes over the corpus."""


TINY = Config(generator=GeneratorConfig(embedding=16, hidden=16), epochs=2, batch_size=32)


class MLE(OnePlayerGame):
    """One player, one stage."""

    def loss(self, real: Tensor, turn: Turn) -> Loss:
        """Cross-entropy of real sentences in nats per token."""
        return self.likelihood(real, turn)
