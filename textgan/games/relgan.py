"""RelGAN: relational generative adversarial networks for text (Nie, Narodytska, Patel; ICLR 2019).

The generator is a relational memory; its words are relaxed by Gumbel noise g (eq. 4)::

    w_t = softmax(beta (logits_t + g_t)),   beta = beta_max^progress

and it reads on from the likeliest word of w_t, which is an exact draw. The discriminator reads each sentence in many
narrow embeddings with the same filters; each of them gives a logit, a *vote* D_s, and every vote plays the relativistic
standard game (eq. 5)::

    L_D = -E log s(D_s(real) - D_s(fake))        L_G = -E log s(D_s(fake) - D_s(real))

as means over sentences and votes, s the sigmoid; real and fake sentences are paired row by row.

Differs from the paper: the votes come straight from the highway layer, without the fully connected layer of 100 before
the logit; sentences may end early, after which D sees nothing; dropout is off while words are drawn and while D judges
for the generator; the last bias, which the relativistic loss does not see, is not learned. The default networks are the
paper's kinds at sizes for two CPU cores; ``configs/relgan-oracle.yaml`` and ``configs/relgan-captions.yaml`` have the
paper's sizes and schedule. Of the appendix's seven schedules of beta the logarithmic one, which depends on the number
of rounds, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from textgan.errors import check_at_least
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.generators import GeneratorConfig
from textgan.networks.modes import evaluating
from textgan.parts.relaxed_game import RelaxedGame
from textgan.parts.relaxed_opponent import RelaxedOpponentConfig
from textgan.parts.text_game import Pretraining, TextGameConfig
from textgan.relaxation import Relaxed, relaxed_sample

ScheduleName = Literal["exponential", "linear", "quadratic", "square_root", "sigmoid", "none"]

SCHEDULES: dict[str, Callable[[float, float], float]] = {
    "exponential": lambda highest, progress: highest**progress,
    "linear": lambda highest, progress: 1 + (highest - 1) * progress,
    "quadratic": lambda highest, progress: 1 + (highest - 1) * progress**2,
    "square_root": lambda highest, progress: 1 + (highest - 1) * math.sqrt(progress),
    "sigmoid": lambda highest, progress: 1 + (highest - 1) / (1 + math.exp(20 * (0.5 - progress))),
    "none": lambda highest, progress: highest,
}
"""beta by its highest value and the progress of the game (the paper's appendix)."""


@dataclass(frozen=True)
class Config(TextGameConfig):
    """RelGAN."""

    generator: GeneratorConfig = GeneratorConfig("relational", embedding=32, hidden=128, heads=2, slots=1, dropout=0.0)
    """Its network."""
    discriminator: RelaxedOpponentConfig = RelaxedOpponentConfig(
        "multi", embedding=16, representations=16, widths=(2, 3, 4, 5), filters=(50, 50, 50, 50),
        loss="relativistic", learning_rate=1e-4, steps=5,
    )  # fmt: skip
    """Its network, the loss of both sides and how it learns; five steps a round."""
    rounds: int = 80
    """Adversarial rounds."""
    learning_rate: float = 1e-4
    """Adam's step size of the generator in the game."""
    beta: float = 100.0
    """beta_max: the inverse temperature that the game ends with, at least 1. The paper: 100 and 1000 on real text, 1
    and 2 on the oracle."""
    schedule: ScheduleName = "exponential"
    """How beta rises from 1. none: it is beta_max from the first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "beta")


TINY = Config(
    generator=GeneratorConfig("relational", embedding=16, hidden=16, heads=2), pretraining=Pretraining(epochs=1),
    discriminator=RelaxedOpponentConfig(
        "multi", embedding=8, representations=4, widths=(2, 3), filters=(8, 8), hidden=8, layers=1,
        loss="relativistic", steps=2,
    ),
    rounds=3, batch_size=32, beta=10.0,
)  # fmt: skip


class RelGAN(RelaxedGame):
    """Generator and discriminator; the generator has one optimiser for likelihood and one for the game."""

    config: Config

    def stages(self) -> Sequence[Stage]:
        config = self.config
        deceive = Move("generator", self._deceive, clip=config.clip)
        return [
            self.pretrain_generator(config.pretraining),
            Stage("adversarial", config.rounds, [deceive, self.opponent.move(self.fakes)]),
        ]

    def _deceive(self, real: Tensor, turn: Turn) -> Loss:
        return self.deceive(real, turn)._replace(info={"beta": torch.tensor(self._beta(turn), device=real.device)})

    def fakes(self, n: int, turn: Turn) -> Relaxed:
        """Sentences by Gumbel-softmax at this turn's temperature."""
        with evaluating(self.generator):
            return relaxed_sample(self.generator, self.spec, n, 1 / self._beta(turn), "hard")

    def _beta(self, turn: Turn) -> float:
        return SCHEDULES[self.config.schedule](self.config.beta, turn.progress)
