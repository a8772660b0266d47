"""RankGAN: adversarial ranking for language generation (Lin, Li, He, Zhang, Sun; NeurIPS 2017; arXiv 1705.11001).

In place of a discriminator a ranker, which says how a sentence s does beside those of a comparison set C, given
references U, which are real. With cos the cosine of two sentences' features::

    P(s | u, C) = exp(gamma cos(s, u)) / sum_{x in C and s} exp(gamma cos(x, u))
    R(s | U, C) = mean over u of P(s | u, C)

    L_D = -1/2 E_real log R(s | U, fakes) - 1/2 E_fake log(1 - R(s | U, real))
    L_G = -(1/B) sum_bt (Q_bt - baseline) log p(y_bt | y_b,<t)

where Q is SeqGAN's mean over N completions of the sentence up to t by a roll-out policy that follows the generator,
but of the reward log R(s | U, real). U, C and the real sentences to be ranked are parts of one batch, none of them
twice. As P = sigmoid(gamma cos(s, u) - log sum_C exp(gamma cos(x, u))), R and 1 - R are computed as logarithms
throughout.

Differs from the paper: the features are the ranker's output layer, a linear map of the CNN's, so that a cosine may be
negative; |C| and gamma, which it leaves open, are ours. The ranker has the sizes of SeqGAN's discriminator and learns
from a pool of fakes as that does, without its penalty, as a cosine does not see how large features are; its dropout is
off while it rewards. ``score = rank`` rewards R itself. Baseline (by default the other sentences' mean, as log R is
negative throughout; ``none`` is the paper) and whitening are switches. L_G is a mean over sentences. The defaults are
a short schedule for the embedded corpus; ``configs/rankgan-oracle.yaml`` has the oracle's sizes with SeqGAN's
schedule, ``configs/rankgan-captions.yaml`` is for captions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.errors import check_above_zero, check_at_least, check_fields
from textgan.game import Loss, Stage, Turn
from textgan.losses import accuracy
from textgan.networks.generators import GeneratorConfig
from textgan.networks.modes import evaluating
from textgan.parts.opponent import TINY_OPPONENT, Opponent, OpponentConfig
from textgan.parts.rollout_policy import RolloutGameConfig, RolloutPolicy
from textgan.parts.text_game import Pretraining, TextGame


@dataclass(frozen=True)
class Config(RolloutGameConfig):
    """RankGAN."""

    discriminator: OpponentConfig = OpponentConfig()
    """The ranker: its network and how it learns. Its loss is its own, `loss` must be standard; l2 is not used."""
    features: int = 64
    """Width of the features whose cosines are taken."""
    references: int = 16
    """|U|: real sentences of a batch that others are ranked by; half of a smaller batch."""
    comparison: int = 16
    """|C|: sentences of a batch that each is ranked among."""
    gamma: float = 10.0
    """What the cosines are multiplied with."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every reward is 1, a control that shows what the ranker is worth."""
    score: Literal["log_rank", "rank"] = "log_rank"
    """The reward: log R, the paper, or R."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "features", "references", "comparison")
        check_at_least(2, "game", self, "batch_size")
        check_above_zero("game", self, "gamma")
        check_fields("game.discriminator", self.discriminator, "standard", lambda loss: loss == "standard", "loss")


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1), discriminator=TINY_OPPONENT,
    features=8, references=4, comparison=4, rounds=2, rollouts=2, batch_size=32,
)  # fmt: skip


class RankGAN(TextGame):
    """Generator and ranker; the generator has one optimiser for likelihood and one for policy gradient."""

    config: Config

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__(config, spec)
        self.rollouts = RolloutPolicy(self.generator, config)
        self.ranker = Ranker(config, spec)

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            **self.pretraining_optimizer(self.config.pretraining),
            "generator": Adam(self.generator.parameters(), lr=self.config.learning_rate),
            **self.ranker.optimizer(),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        moves = self.rollouts.moves(self.generator, config, self._reinforce)
        return [
            self.pretrain_generator(config.pretraining),
            self.ranker.pretrain(self._fakes),
            Stage("adversarial", config.rounds, [*moves, *self.ranker.moves(self._fakes)]),
        ]

    def _fakes(self, n: int) -> Tensor:
        return self.sample(n, self.config.temperature)

    def _reinforce(self, real: Tensor, turn: Turn) -> Loss:
        config = self.config
        tokens = self._fakes(len(real))
        rewards = self._rewards(tokens, real)
        return self.reinforce(tokens, rewards, config.temperature, config.baseline, config.whiten)

    def _rewards(self, tokens: Tensor, real: Tensor) -> Tensor:
        if self.config.reward == "constant":
            return (tokens != self.spec.pad).float()
        ranking = self.ranker.ranking(real)

        def reward(sentences: Tensor, shared: int = 0, copies: int = 1) -> Tensor:
            log_rank = self.ranker.log_rank(sentences, ranking, shared, copies)
            return log_rank if self.config.score == "log_rank" else log_rank.exp()

        return self.rollouts.rewards(tokens, reward, lambda rows, t: reward(rows, t, self.config.rollouts))


Ranking = tuple[Tensor, Tensor]
"""Features of the references U and of the comparison set C, ``(sentences, features)`` each."""


class Ranker(Opponent):
    """The player ``discriminator``: a network of features, and a pool of fakes to learn from."""

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__(config.discriminator, spec, config.batch_size, config.features)
        self.references, self.comparison, self.gamma = config.references, config.comparison, config.gamma

    def loss(self, real: Tensor, turn: Turn) -> Loss:
        """What it minimises, on real sentences ``(B, T)``, some of them references, and fakes of the pool."""
        references, ranked = self._parts(self.network(real))
        fakes = self.network(self.pool.draw(len(ranked)).long())
        real_rank = rank_logits(ranked, references, fakes[: self.comparison], self.gamma)
        fake_rank = rank_logits(fakes, references, ranked[: self.comparison], self.gamma)
        terms = {
            "real": -log_mean(F.logsigmoid(real_rank)).mean() / 2,
            "fake": -log_mean(F.logsigmoid(-fake_rank)).mean() / 2,
        }
        chance = math.log(min(self.comparison, len(ranked)))  # minus the logit of 1 / (1 + |C|)
        return Loss(terms, {"accuracy": accuracy(real_rank.mean(1) + chance, fake_rank.mean(1) + chance)})

    def ranking(self, real: Tensor) -> Ranking:
        """What generated sentences are ranked by: parts of a batch of real ones ``(B, T)``. Dropout is off."""
        with evaluating(self.network), torch.no_grad():
            references, others = self._parts(self.network(real))
        return references, others[: self.comparison]

    def log_rank(self, sentences: Tensor, ranking: Ranking, shared: int = 0, copies: int = 1) -> Tensor:
        """log R ``(n,)`` of sentences ``(n, T)``, without gradient and with dropout off; see `Opponent.reward`."""
        with evaluating(self.network), torch.no_grad():
            features = self.network(sentences, shared, copies)
        return log_mean(F.logsigmoid(rank_logits(features, *ranking, self.gamma)))

    def _parts(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """A batch's references and its other sentences."""
        count = min(self.references, len(features) // 2)
        return features[:count], features[count:]


def rank_logits(
    features: Float[Tensor, "n size"],
    references: Float[Tensor, "references size"],
    comparison: Float[Tensor, "comparison size"],
    gamma: float,
) -> Float[Tensor, "n references"]:
    """log P(s | u, C) / (1 - P(s | u, C)) = gamma cos(s, u) - log sum_{x in C} exp(gamma cos(x, u)), always in fp32."""
    references = F.normalize(references.float(), dim=1)
    among = gamma * F.normalize(comparison.float(), dim=1) @ references.t()
    return gamma * F.normalize(features.float(), dim=1) @ references.t() - among.logsumexp(0)


def log_mean(logs: Float[Tensor, "n m"]) -> Float[Tensor, " n"]:
    """log of the mean over m of what these are the logarithms of."""
    return logs.logsumexp(1) - math.log(logs.shape[1])
