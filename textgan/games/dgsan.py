"""DGSAN: discrete generative self-adversarial network (Montahaei, Alihosseini, Baghshah; 2019; arXiv 1908.09127).

No network as discriminator: the new generator q and the old one, q_old, are one together. The best discriminator
between the data and the old generator is p / (p + q_old), p the data's distribution; so q is found as the
discriminator q / (q + q_old) that best tells real sentences from those of the old generator. With r = log q - log
q_old::

    D = sigmoid(r)
    L = -E_real log D - E_fake log(1 - D) = E_real softplus(-r) + E_fake softplus(r)        fakes from q_old

No gradient has to pass through the choice of words. After every epoch q_old <- q. ``ratio`` says what r is the ratio
of: ``token``, each word given those before it, L being the mean over sentences of the sum over their words; or
``sentence``, the whole sentence. With sentences the minimum is the data's distribution whatever q_old is. With tokens
it is that where q_old has the data's prefixes; the game rests at q = q_old = p. Where q = q_old, as an epoch begins,
the gradient is half that of the likelihood.

Differs from the paper: we know its method (ratios of tokens, q_old <- q every epoch) but not all of its settings;
sizes, rates and pretraining, by default none, are ours. q has its dropout, if any, on while it learns, q_old never.
Fakes are drawn anew at every step. ``ratio = sentence`` is an addition. ``configs/dgsan-oracle.yaml`` has the sizes of
the SeqGAN oracle, ``configs/dgsan-captions.yaml`` is for captions.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.game import Act, Loss, Move, Stage, Turn
from textgan.networks.generators import GeneratorConfig
from textgan.networks.modes import evaluating
from textgan.parts.text_game import Pretraining, TextGame, TextGameConfig
from textgan.sampling import sample


@dataclass(frozen=True)
class Config(TextGameConfig):
    """DGSAN."""

    pretraining: Pretraining = Pretraining(epochs=0)
    """Maximum likelihood before the game."""
    rounds: int = 10
    """Epochs of the game; the old generator becomes the new one before each."""
    learning_rate: float = 3e-3
    """Adam's step size in the game."""
    ratio: Literal["token", "sentence"] = "token"
    """What the old and the new generator are compared on. token: each word given those before it, the paper."""


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1), rounds=2, batch_size=32
)


class DGSAN(TextGame):
    """One generator, with an optimiser for likelihood and one for the game, and what it was an epoch ago."""

    config: Config

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__(config, spec)
        self.old = copy.deepcopy(self.generator)

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            **self.pretraining_optimizer(self.config.pretraining),
            "generator": Adam(self.generator.parameters(), lr=self.config.learning_rate),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        epoch = math.ceil(self.spec.train_size / self.batch_size)
        learn = Move("generator", self._learn, epoch, clip=config.clip)
        return [
            self.pretrain_generator(config.pretraining),
            Stage("adversarial", config.rounds, [Act(self._renew), learn]),
        ]

    def _renew(self, turn: Turn) -> None:
        self.old.load_state_dict(self.generator.state_dict())

    def _learn(self, real: Tensor, turn: Turn) -> Loss:
        with evaluating(self.old):
            fake = sample(self.old, self.spec, len(real))
        real_ratio, fake_ratio = self._log_ratio(real), self._log_ratio(fake)
        terms = {"real": self._cost(-real_ratio, real), "fake": self._cost(fake_ratio, fake)}
        gained = real_ratio.detach().sum() / (real != self.spec.pad).sum()
        return Loss(terms, {"gained": gained})

    def _log_ratio(self, tokens: Tensor) -> Tensor:
        """r of each token ``(B, T)``; 0 at padding."""
        with evaluating(self.old), torch.no_grad():
            old = self.old.log_probs(tokens)
        return (self.generator.log_probs(tokens) - old).float()

    def _cost(self, ratio: Tensor, tokens: Tensor) -> Tensor:
        """softplus(ratio), a mean over sentences."""
        if self.config.ratio == "sentence":
            return F.softplus(ratio.sum(1)).mean()
        return (F.softplus(ratio) * (tokens != self.spec.pad)).sum() / len(tokens)
