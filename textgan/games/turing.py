"""Turing learning: a generator against a classifier that is no network (Li, Gauci, Gross; 2016; arXiv 1603.04904).

Model and classifier judge each other; the classifier may be anything that learns to tell real from fake. Here it is
one of scikit-learn's on the counts of a sentence's n-grams, fitted anew each round, and the generator is a network that
is rewarded for what the classifier takes for real::

    C = fit(real sentences, the generator's sentences)
    r(y) = P(real | y) by C, or its log-odds
    L_G = -1/B sum_bt (Q_bt - baseline) log p(y_bt | y_b,<t)

where Q is the reward of the sentence or, with roll-outs, the mean reward of what may follow (as in SeqGAN). Log-odds
estimate log p_data(y) - log p(y); the generator that raises their expectation lowers KL(p || p_data).

Differs from the paper: there, models and classifiers evolve by mutation and selection, the classifiers being recurrent
networks, and the data are motions of robots; a model's fitness is the share of classifiers that it deceives. Here both
learn by their own methods. ``configs/turing-oracle.yaml`` and ``configs/turing-captions.yaml`` are presets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.errors import check_at_least
from textgan.game import Act, Loss, Move, Stage, Turn
from textgan.losses import accuracy
from textgan.networks.generators import GeneratorConfig
from textgan.networks.modes import evaluating
from textgan.parts.ngram_classifier import ClassifierConfig, NgramClassifier
from textgan.parts.text_game import Pretraining, TextGame, TextGameConfig
from textgan.policy_gradient import rollout_rewards


@dataclass(frozen=True)
class Config(TextGameConfig):
    """Turing learning."""

    classifier: ClassifierConfig = ClassifierConfig()
    """Which one, and what it learns from."""
    rounds: int = 40
    """Rounds of the game; the classifier is fitted once in each."""
    generator_steps: int = 10
    """Policy-gradient steps a round."""
    learning_rate: float = 3e-4
    """Adam's step size by policy gradient."""
    rollouts: int = 0
    """Completions of each prefix. 0: every word has its sentence's reward."""
    score: Literal["probability", "log_odds"] = "probability"
    """What of the classifier's judgement is the reward."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every reward is 1, a control that shows what the classifier is worth."""
    baseline: Literal["none", "batch"] = "batch"
    """What is taken off a reward. batch: the mean reward of the other sentences at the position."""
    whiten: bool = False
    """Divide the rewards by their standard deviation over the batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "generator_steps")
        check_at_least(0, "game", self, "rollouts")


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1),
    classifier=ClassifierConfig(kind="naive_bayes", pool_size=64, bits=10), batch_size=32, rounds=2, generator_steps=2,
)  # fmt: skip


class Turing(TextGame):
    """Generator and classifier; the classifier learns in an act."""

    config: Config

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__(config, spec)
        self.classifier = NgramClassifier(config.classifier, spec)

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            **self.pretraining_optimizer(self.config.pretraining),
            "generator": Adam(self.generator.parameters(), lr=self.config.learning_rate),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        reinforce = Move("generator", self._reinforce, config.generator_steps, clip=config.clip)
        return [
            self.pretrain_generator(config.pretraining),
            Stage("adversarial", config.rounds, [Act(self._fit), reinforce]),
        ]

    def likelihood(self, real: Tensor, turn: Turn) -> Loss:
        """Cross-entropy of real sentences in nats per token; the classifier meets them."""
        self.classifier.meet(real)
        return super().likelihood(real, turn)

    def _fit(self, turn: Turn) -> None:
        self.classifier.fit(self.sample(self.config.classifier.pool_size))

    def _reinforce(self, real: Tensor, turn: Turn) -> Loss:
        config = self.config
        tokens = self.sample(len(real))
        loss = self.reinforce(tokens, self._rewards(tokens), baseline=config.baseline, whiten=config.whiten)
        right = accuracy(self.classifier(real), self.classifier(tokens))
        self.classifier.meet(real)
        return loss._replace(info={**loss.info, "accuracy": right})

    def _rewards(self, tokens: Tensor) -> Tensor:
        config = self.config
        if config.reward == "constant":
            return torch.ones(tokens.shape, device=tokens.device)
        if config.rollouts == 0:
            return self._judge(tokens)[:, None].expand_as(tokens)
        with evaluating(self.generator):
            return rollout_rewards(self.generator, self.spec, tokens, self._judge, config.rollouts)

    def _judge(self, sentences: Tensor, origins: Tensor | None = None) -> Tensor:
        odds = self.classifier(sentences)
        return odds if self.config.score == "log_odds" else odds.sigmoid()
