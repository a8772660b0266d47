"""ColdGAN: cautious sampling (Scialom, Dray, Lamprier, Piwowarski, Staiano; NeurIPS 2020; arXiv 2006.04643).

Sentences drawn from the generator p itself are often broken, and a discriminator that has only seen such ones gives no
smooth reward. So they are drawn near the mode: from q, a mixture of p and of p cooled and cut to a nucleus. Weights
keep the policy gradient unbiased; clipped, they bound its variance::

    q(y) = warm p(y) + (1 - warm) nucleus_k(p^(1/temperature))(y)
    L_G = -1/B sum_b min(c, p(y_b) / q(y_b)) (D(y_b) - baseline) log p(y_b)                y_b from q
    L_D = -1/2 E log D(real) - 1/2 E log(1 - D(fake))

D's pool keeps a share of old fakes (the paper's memory replay). The colder q, the less a sentence of it weighs, and
nearly all of the gradient comes from the warm ones. ``weights: word`` weighs each word by its own ratio p / q given
those before it: all sentences count, however cold, and the gradient is that of a p which says one word among words of
q.

Differs from the paper: any of our networks, where the paper also fine-tunes pretrained transformers; fakes are p's,
where the paper's D learns on what is drawn cautiously (``fakes: proposal``: then the game is won when q is the data,
and p is too hot); the warm sentences of a batch are a fixed share of it, not drawn by lot, with the density of the
mixture for all. The clip c, the mixture's numbers (much milder than the paper's, whose sentences are mostly answers to
a text) and the share of the pool that is kept are our defaults. Weights of words, the baseline and whitening are
switches. Presets: ``configs/coldgan-oracle.yaml`` and ``configs/coldgan-captions.yaml``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from textgan.errors import check_above_zero, check_at_least
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.generators import GeneratorConfig
from textgan.networks.modes import evaluating
from textgan.parts.opponent import TINY_OPPONENT, OpponentConfig
from textgan.parts.opponent_game import OpponentGame
from textgan.parts.proposals import ProposalConfig, effective_share, propose
from textgan.parts.text_game import Pretraining, TextGameConfig
from textgan.policy_gradient import advantages, reinforce_loss


@dataclass(frozen=True)
class Config(TextGameConfig):
    """ColdGAN."""

    discriminator: OpponentConfig = OpponentConfig(pool_refresh=0.5)
    """Its network, its loss and how it learns."""
    proposal: ProposalConfig = ProposalConfig()
    """Where sentences are drawn."""
    fakes: Literal["generator", "proposal"] = "generator"
    """What the discriminator learns to tell from real sentences: those of the generator or those of the proposal."""
    rounds: int = 20
    """Adversarial rounds."""
    generator_steps: int = 10
    """Policy-gradient steps a round."""
    learning_rate: float = 3e-4
    """Adam's step size by policy gradient."""
    weights: Literal["sentence", "word"] = "sentence"
    """What has an importance weight: the sentence, which is unbiased, or each word by itself."""
    largest_weight: float | None = 5.0
    """c: larger importance weights are cut to it. None: never cut."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every reward is 1, a control that shows what the discriminator is worth."""
    baseline: Literal["none", "batch"] = "batch"
    """What is taken off a reward. batch: the mean reward of the other sentences that are as long."""
    whiten: bool = False
    """Divide the rewards by their standard deviation over the batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "generator_steps")
        check_above_zero("game", self, "largest_weight")


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1), discriminator=TINY_OPPONENT,
    batch_size=32, rounds=2, generator_steps=2,
)  # fmt: skip


class ColdGAN(OpponentGame):
    """Generator and discriminator."""

    config: Config

    def stages(self) -> Sequence[Stage]:
        config = self.config
        reinforce = Move("generator", self._reinforce, config.generator_steps, clip=config.clip)
        return self.after_pretraining(reinforce)

    def fakes(self, n: int) -> Tensor:
        """Sentences of the generator, or of the proposal."""
        if self.config.fakes == "generator":
            return self.sample(n)
        return propose(self.generator, self.spec, n, self.config.proposal).tokens

    def _reinforce(self, real: Tensor, turn: Turn) -> Loss:
        return self._loss(*propose(self.generator, self.spec, len(real), self.config.proposal))

    def _loss(self, tokens: Tensor, log_q: Tensor) -> Loss:
        """The policy gradient of sentences ``(B, T)`` whose words were drawn with log-probabilities ``(B, T)``."""
        config, mask = self.config, tokens != self.spec.pad
        with evaluating(self.generator):
            log_probs = self.generator.log_probs(tokens)
        constant = config.reward == "constant"
        reward = torch.ones_like(log_q[:, 0]) if constant else self.opponent.reward(tokens)
        weights = importance_weights(log_probs.detach() - log_q, config.weights == "word", config.largest_weight)
        worth = weights * advantages(reward[:, None] * mask, mask, config.baseline, config.whiten)
        return Loss(
            {"policy_gradient": reinforce_loss(log_probs, worth, mask)},
            {"reward": reward.mean(), "effective_share": effective_share(weights[mask])},
        )


def importance_weights(
    log_ratios: Float[Tensor, "batch length"], of_words: bool, largest: float | None
) -> Float[Tensor, "batch length"]:
    """What each word weighs, from log p / q of the words: its own ratio, or that of its sentence, cut at `largest`."""
    logs = log_ratios if of_words else log_ratios.sum(1, keepdim=True).expand_as(log_ratios)
    return logs.exp() if largest is None else logs.exp().clamp(max=largest)
