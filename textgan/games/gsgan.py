"""GSGAN: sequence GANs by the Gumbel-softmax distribution (Kusner, Hernandez-Lobato; 2016; arXiv 1611.04051).

The generator's words are relaxed, so that the discriminator's gradient flows into them. At each place::

    w_t = softmax((logits_t + g_t) / tau),   g Gumbel noise                                              (eq. 3)

and w_t, read as the mean of the embeddings that it weighs, is what the generator reads next. As tau falls to 0, w_t
becomes one-hot; it falls geometrically over the game: tau = first (last / first)^progress. Both players minimise an
objective of the discriminator's logits, by default::

    L_D = -E log D(real) - E log(1 - D(fake))        L_G = -E log D(fake)

Differs from the paper: the generator is pretrained by likelihood, as later work does, and its first state is 0 and not
random, the Gumbel noise being random enough; D's default is a CNN, the paper's an LSTM (``kind: rnn``, the presets);
the schedule of tau is ours. What the generator reads (its mixture, or the likeliest word), what D reads (the mixture,
or one-hot words with the mixture's gradient) and the objective are switches. After the game, words are drawn from
softmax(logits) and read as such, which is what hard feedback trains exactly and soft feedback in the limit of tau = 0.
``configs/gsgan-oracle.yaml`` and ``configs/gsgan-captions.yaml`` have the sizes of SeqGAN's generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textgan.errors import check_above_zero, check_at_least
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.generators import GeneratorConfig
from textgan.networks.modes import evaluating
from textgan.parts.relaxed_game import RelaxedGame
from textgan.parts.relaxed_opponent import RelaxedOpponentConfig
from textgan.parts.text_game import Pretraining, TextGameConfig
from textgan.relaxation import Feedback, Relaxed, relaxed_sample, straight_through


@dataclass(frozen=True)
class Config(TextGameConfig):
    """GSGAN."""

    discriminator: RelaxedOpponentConfig = RelaxedOpponentConfig(
        widths=(1, 2, 3, 4, 5), filters=(64, 64, 64, 64, 64), learning_rate=1e-4
    )
    """Its network, the loss of both sides and how it learns."""
    rounds: int = 300
    """Adversarial rounds."""
    generator_steps: int = 1
    """Steps of the generator a round."""
    learning_rate: float = 1e-4
    """Adam's step size of the generator in the game."""
    first_temperature: float = 2.0
    """tau when the game begins."""
    last_temperature: float = 0.5
    """tau when it ends."""
    feedback: Feedback = "soft"
    """What the generator reads next. soft: the mixture (the paper). hard: its likeliest word."""
    one_hot_words: bool = False
    """The discriminator sees the likeliest words, one-hot as real ones are, with the mixture's gradient."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "generator_steps")
        check_above_zero("game", self, "first_temperature", "last_temperature")


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1), rounds=3, batch_size=32,
    discriminator=RelaxedOpponentConfig(
        widths=(1, 2, 3), filters=(8, 8, 8), embedding=16, representations=4, hidden=8, layers=1
    ),
)  # fmt: skip


class GSGAN(RelaxedGame):
    """Generator and discriminator; the generator has one optimiser for likelihood and one for the game."""

    config: Config

    def stages(self) -> Sequence[Stage]:
        config = self.config
        deceive = Move("generator", self._deceive, config.generator_steps, clip=config.clip)
        return [
            self.pretrain_generator(config.pretraining),
            Stage("adversarial", config.rounds, [self.opponent.move(self.fakes), deceive]),
        ]

    def _deceive(self, real: Tensor, turn: Turn) -> Loss:
        return self.deceive(real, turn)._replace(
            info={"temperature": torch.tensor(self._temperature(turn), device=real.device)}
        )

    def fakes(self, n: int, turn: Turn) -> Relaxed:
        """Sentences by Gumbel-softmax at this turn's temperature."""
        config = self.config
        with evaluating(self.generator):
            fake = relaxed_sample(self.generator, self.spec, n, self._temperature(turn), config.feedback)
        if not config.one_hot_words:
            return fake
        written = (fake.tokens != self.spec.pad)[:, :, None]  # what follows the end mark stays 0
        return fake._replace(words=straight_through(fake.words) * written)

    def _temperature(self, turn: Turn) -> float:
        first, last = self.config.first_temperature, self.config.last_temperature
        return first * (last / first) ** turn.progress
