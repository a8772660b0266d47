"""DP-GAN: a diversity-promoting GAN, whose discriminator is a language model (Xu et al.; EMNLP 2018; arXiv 1802.01345).

A classifier that is sure of itself gives all fakes the same reward. A language model D tells the novel from the
repeated: its cross-entropy is high where a text says what the generator does not keep saying. Word by word and as the
mean over the sentence (equations 3 and 4)::

    c_t = min(-log D(y_t | y_<t), ceiling),   R(y) = (1/T) sum_t c_t

D is trained to make fakes likely and real sentences unlikely, so that R is high for real text (eq. 5); the generator is
rewarded with word times sentence, credited to a word for itself and all that follow (eqs. 6 and 7)::

    L_D = -E R(real) + E R(fake)
    L_G = -(1/B) sum_bt (sum_s>=t discount^(s-t) c_bs R(y_b) - baseline) log p(y_bt | y_b,<t)

and, as the authors' code does, it is shown real sentences as well: `teacher_forcing` times their cross-entropy.

Differs from the paper: sentences are generated from nothing, not from the sentence before, so the generator is a plain
language model and D reads one sentence, not a paragraph. The ceiling, 12 nats as in the authors' code, also bounds D's
loss, which has no lowest value without it. Real sentences are taught unweighted, not weighed with D's reward; rewards
keep their size, where that code divides them by 10,000. Baseline and whitening are switches that the paper does not
have (and without which, all rewards being positive, a small batch mostly raises what it happened to draw); Adam in
place of Adagrad. ``configs/dpgan-oracle.yaml`` and ``configs/dpgan-captions.yaml`` have the usual sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.errors import check_above_zero, check_at_least, check_fields
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.generators import GeneratorConfig, text_generator
from textgan.networks.modes import evaluating
from textgan.parts.text_game import Pretraining, TextGame, TextGameConfig
from textgan.policy_gradient import rewards_to_go


@dataclass(frozen=True)
class Config(TextGameConfig):
    """DP-GAN."""

    discriminator: GeneratorConfig = GeneratorConfig()
    """The language model that tells real from fake: any network that a generator can be."""
    discriminator_rounds: int = 100
    """Discriminator steps before the game."""
    discriminator_learning_rate: float = 1e-3
    """Adam's step size for the discriminator."""
    discriminator_steps: int = 2
    """Discriminator steps a round."""
    rounds: int = 150
    """Adversarial rounds."""
    generator_steps: int = 1
    """Policy-gradient steps a round."""
    learning_rate: float = 1e-4
    """Adam's step size by policy gradient."""
    ceiling: float = 12.0
    """Largest cross-entropy of a word that counts, in nats."""
    discount: float = 1.0
    """What is left of a reward for each word further ahead, in (0, 1]."""
    teacher_forcing: float = 1.0
    """Weight of the cross-entropy of real sentences, in nats per token, beside the policy gradient. 0: none."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every word's reward is 1, a control that shows what the discriminator is worth."""
    baseline: Literal["none", "batch"] = "batch"
    """What is taken off a reward. none: the paper. batch: the mean reward of the other sentences at the position."""
    whiten: bool = True
    """Divide the rewards by their standard deviation over the batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "generator_steps", "discriminator_steps")
        check_at_least(0, "game", self, "discriminator_rounds", "teacher_forcing")
        check_above_zero("game", self, "ceiling", "discriminator_learning_rate")
        check_fields("game", self, "in (0, 1]", lambda share: 0 < share <= 1, "discount")


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), discriminator=GeneratorConfig(embedding=16, hidden=16),
    pretraining=Pretraining(epochs=1), discriminator_rounds=2, rounds=2, batch_size=32,
)  # fmt: skip


class DPGAN(TextGame):
    """A generator and a language model against it."""

    config: Config

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__(config, spec)
        self.discriminator = text_generator(config.discriminator, spec)

    def optimizers(self) -> dict[str, Optimizer]:
        config = self.config
        return {
            **self.pretraining_optimizer(config.pretraining),
            "generator": Adam(self.generator.parameters(), lr=config.learning_rate),
            "discriminator": Adam(self.discriminator.parameters(), lr=config.discriminator_learning_rate),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        discriminate = Move("discriminator", self._discriminate, config.discriminator_steps, clip=config.clip)
        reinforce = Move("generator", self._reinforce, config.generator_steps, clip=config.clip)
        first = Move("discriminator", self._discriminate, clip=config.clip)
        return [
            self.pretrain_generator(config.pretraining),
            Stage("pretrain_discriminator", config.discriminator_rounds, [first]),
            Stage("adversarial", config.rounds, [reinforce, discriminate]),
        ]

    def _reinforce(self, real: Tensor, turn: Turn) -> Loss:
        config = self.config
        tokens = self.sample(len(real))
        mask = tokens != self.spec.pad
        rewards = self._rewards(tokens)
        to_go = rewards_to_go(rewards, mask, config.discount)
        terms = dict(self.reinforce(tokens, to_go, baseline=config.baseline, whiten=config.whiten).terms)
        if config.teacher_forcing:
            terms["nll"] = config.teacher_forcing * self.likelihood(real, turn).terms["nll"]
        return Loss(terms, {"reward": rewards.sum() / mask.sum()})

    def _rewards(self, tokens: Tensor) -> Tensor:
        """c_t R(y) of every word."""
        mask = tokens != self.spec.pad
        if self.config.reward == "constant":
            return mask.float()
        with evaluating(self.discriminator), torch.no_grad():
            words = self._cross_entropy(tokens)
        return words * per_sentence(words, mask)[:, None]

    def _discriminate(self, real: Tensor, turn: Turn) -> Loss:
        fake = self.sample(len(real))
        of_real, of_fake = (
            per_sentence(self._cross_entropy(tokens), tokens != self.spec.pad).mean() for tokens in (real, fake)
        )
        return Loss({"real": -of_real, "fake": of_fake})

    def _cross_entropy(self, tokens: Tensor) -> Tensor:
        """c_t in nats; 0 at padding."""
        return (-self.discriminator.log_probs(tokens)).clamp(max=self.config.ceiling)


def per_sentence(words: Float[Tensor, "batch length"], mask: Bool[Tensor, "batch length"]) -> Float[Tensor, " batch"]:
    """The mean over a sentence's words; padding, which is masked, is 0 in `words`."""
    return words.sum(1) / mask.sum(1)
