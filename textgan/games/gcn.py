"""GCN: generative cooperative networks (Lamprier, Scialom, Chaffin et al.; ICML 2022; arXiv 2201.12320).

In place of a policy gradient, the generator p fits, by likelihood, a target to which the discriminator leads::

    D_t = argmin -1/2 E_data log D - 1/2 E_{p_t-1} log(1 - D)
    q_t(y) proportional to p_t-1(y) D_t(y)
    p_t = argmin KL(q_t || p)

With an optimal D, q_t is p_t-1 p_data / (p_data + p_t-1) up to its sum, and p_t approaches the data. Sentences come
from a proposal r (the generator itself, or a mixture of it and of it cooled and cut to a nucleus), weighed::

    L_G = -1/n sum_i w_i log p(y_i),   w_i = n u_i / sum_j u_j,   u_i = p_t-1(y_i) D_t(y_i) / r(y_i)

The gradient is that of KL(q_t || p), up to the error of self-normalisation, which vanishes as 1/n.

Differs from the paper: unconditional generation, not question generation or summaries; a round fits one set of
sentences in one or several passes, where the paper takes one step for each; no Monte-Carlo tree search among the
proposals; where r has a nucleus, it is mixed with p so that it can say every sentence. D may be a CNN, an LSTM or a
transformer. The sizes of rounds are our defaults.
``configs/gcn-oracle.yaml`` and ``configs/gcn-captions.yaml`` are presets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from textgan.data.spec import TextSpec
from textgan.errors import check_at_least, check_fields
from textgan.game import Act, Loss, Move, Stage, Turn
from textgan.losses import OBJECTIVES
from textgan.networks.generators import GeneratorConfig
from textgan.networks.modes import evaluating
from textgan.parts.opponent import TINY_OPPONENT, OpponentConfig
from textgan.parts.opponent_game import OpponentGame
from textgan.parts.pools import Pool
from textgan.parts.proposals import ProposalConfig, effective_share, propose
from textgan.parts.text_game import Pretraining, TextGameConfig

PROBABILITIES = [name for name, objective in OBJECTIVES.items() if objective.reward is torch.sigmoid]
"""Losses whose score is the logit of a probability."""
LEAST = 1e-30
"""Least probability that counts."""


@dataclass(frozen=True)
class Config(TextGameConfig):
    """Generative cooperative networks."""

    discriminator: OpponentConfig = OpponentConfig()
    """Its network, its loss (one that gives probabilities) and how it learns."""
    proposal: ProposalConfig = ProposalConfig(warm=1.0)
    """Where the sentences are drawn that the target is fitted on: all from the generator, if nothing else is said. The
    further from it, the more of them weigh next to nothing: see ``effective_share`` in the log."""
    rounds: int = 30
    """Rounds of the game."""
    samples: int = 640
    """Sentences drawn a round."""
    epochs: int = 1
    """Passes of the generator over them."""
    learning_rate: float = 3e-4
    """Adam's step size in the game."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: D is the same everywhere and q_t is p_t-1, a control that shows what the discriminator is worth."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "samples", "epochs")
        accepted = " or ".join(PROBABILITIES)
        check_fields("game.discriminator", self.discriminator, accepted, lambda name: name in PROBABILITIES, "loss")


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1), discriminator=TINY_OPPONENT,
    batch_size=32, rounds=2, samples=64,
)  # fmt: skip


class GCN(OpponentGame):
    """Generator, discriminator, and the weighted sentences of a round."""

    config: Config

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__(config, spec)
        self.proposed = Pool(config.samples, spec.length)
        self.weights = Pool(config.samples, dtype=torch.float32)

    def stages(self) -> Sequence[Stage]:
        config = self.config
        steps = config.epochs * math.ceil(config.samples / config.batch_size)
        fit = Move("generator", self._fit, steps, clip=config.clip)
        return [
            self.pretrain_generator(config.pretraining),
            self.opponent.pretrain(self.sample),
            Stage("cooperative", config.rounds, [*self.opponent.moves(self.sample), Act(self._propose), fit]),
        ]

    def _propose(self, turn: Turn) -> None:
        tokens, log_q = propose(self.generator, self.spec, self.config.samples, self.config.proposal)
        self.proposed.add(tokens)
        self.weights.add(self._weigh(tokens, log_q))

    def _weigh(self, tokens: Tensor, log_q: Tensor) -> Tensor:
        with evaluating(self.generator):
            log_p = self.generator.log_probs(tokens).sum(1)
        constant = self.config.reward == "constant"
        reward = torch.ones_like(log_p) if constant else self.opponent.reward(tokens)
        return normalised_weights(log_p + reward.clamp(min=LEAST).log() - log_q.sum(1))

    def _fit(self, real: Tensor, turn: Turn) -> Loss:
        tokens, weights = self.proposed.draw(len(real)).long(), self.weights.draw(len(real))
        nll = -(weights * self.generator.log_probs(tokens).sum(1)).mean()
        return Loss({"weighted_nll": nll}, {"effective_share": effective_share(self.weights.items)})


def normalised_weights(log_ratio: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Importance weights of mean 1 from logarithms of unnormalised target over proposal."""
    return log_ratio.softmax(0) * len(log_ratio)
