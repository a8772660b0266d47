"""MaliGAN: maximum-likelihood augmented discrete GAN (Che, Li, Zhang, Hjelm, Li, Song, Bengio; 2017; arXiv 1702.07983).

The best discriminator knows how the data's density compares with the generator's: r(x) = D(x) / (1 - D(x)) = p_data(x)
/ p(x). Weighted with it, the generator's samples stand for samples of the data, and it learns from them by likelihood.
The weights are normalised over the batch, to a mean of 1, and a baseline is taken off (algorithm 1)::

    w_b = B r(x_b) / sum_j r(x_j)
    L_G = -(1/B) sum_b (w_b - b) sum_t log p(x_bt | x_b,<t)
    L_D = -1/2 E log D(real) - 1/2 E log(1 - D(fake)) + l2/2 |w_out|^2

As log r is D's logit, the weights are a softmax of logits and cannot overflow. The two further parts of the paper's
algorithm are switches:

- ``mixed``: sentences begin with the first N words of m real ones, each completed n times; weights are normalised
  among the n; the real words are taught by likelihood. N falls from T to 0: N = T (1 - progress). (Algorithm 2.)
- ``rollouts``: a word is weighed by the mean r of so many completions of the sentence up to it, normalised over the
  sentences at its position, in place of the r of its own sentence.

Differs from the paper: b, which there rises slowly from 0 to 1 (``rising``), is by default 1 from the start, the mean
of the weights. The sentences, D's fakes too, are drawn from the generator itself, not from a delayed copy. N falls
evenly. D is SeqGAN's CNN with its pool of fakes and its penalty; its loss is the standard one and no other, as only
then is r the exponential of a logit. The defaults are a short schedule for the embedded corpus; the paper has no
oracle experiment, ``configs/maligan-oracle.yaml`` has SeqGAN's sizes; ``configs/maligan-captions.yaml`` is for
captions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from textgan.errors import check_above_zero, check_at_least, check_fields
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.generators import GeneratorConfig
from textgan.networks.modes import evaluating
from textgan.parts.opponent import TINY_OPPONENT, OpponentConfig
from textgan.parts.opponent_game import OpponentGame
from textgan.parts.text_game import Pretraining, TextGameConfig
from textgan.policy_gradient import continued, reinforce_loss, rollout_rewards

LARGEST = 60.0
"""Log-ratios of completions are cut so far above and below the batch's largest: far beyond any that matters."""


@dataclass(frozen=True)
class Config(TextGameConfig):
    """MaliGAN."""

    discriminator: OpponentConfig = OpponentConfig()
    """Its network and how it learns. Its loss must be standard."""
    generator_steps: int = 5
    """Generator steps a round."""
    temperature: float = 1.0
    """Temperature at which sentences are drawn."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every weight is 1, a control that shows what D is worth; with b = 1 the generator stands still."""
    baseline: Literal["mean", "rising", "none"] = "mean"
    """b. mean: 1, the mean of the weights. rising: from 0 to 1 over the rounds, the paper. none: 0."""
    mixed: bool = False
    """Begin with real words, fewer and fewer."""
    completions: int = 8
    """n: with mixed, completions of each real sentence's beginning, so that there are batch_size / n of these."""
    rollouts: int = 0
    """Completions by which each word is weighed. 0: by its own sentence."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "generator_steps", "completions")
        check_at_least(0, "game", self, "rollouts")
        check_above_zero("game", self, "temperature")
        fits = f"at most the batch size, {self.batch_size}"
        check_fields("game", self, fits, lambda n: n <= self.batch_size, "completions")
        check_fields("game.discriminator", self.discriminator, "standard", lambda loss: loss == "standard", "loss")


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1), discriminator=TINY_OPPONENT,
    rounds=2, generator_steps=1, batch_size=32,
)  # fmt: skip


class MaliGAN(OpponentGame):
    """Generator and discriminator; the generator has one optimiser for likelihood and one for the game."""

    config: Config

    def stages(self) -> Sequence[Stage]:
        config = self.config
        learn = Move("generator", self._learn, config.generator_steps, clip=config.clip)
        return self.after_pretraining(learn)

    def fakes(self, n: int) -> Tensor:
        """Sentences at the temperature of the game."""
        return self.sample(n, self.config.temperature)

    def _learn(self, real: Tensor, turn: Turn) -> Loss:
        config = self.config
        copies = min(config.completions, len(real)) if config.mixed else len(real)
        given = round(self.spec.length * (1 - turn.progress)) if config.mixed else 0
        begun = real[: len(real) // copies]
        with evaluating(self.generator):
            tokens = continued(self.generator, self.spec, begun, given, copies, config.temperature)
            log_probs = self.generator.log_probs(tokens, config.temperature)
        own = tokens != self.spec.pad
        own[:, :given] = False
        log_ratios = self._log_ratios(tokens)
        weights = self._weights(tokens, log_ratios, copies)
        worth = weights - {"mean": 1.0, "rising": turn.progress, "none": 0.0}[config.baseline]
        terms = {"policy_gradient": reinforce_loss(log_probs, worth, own)}
        if config.mixed:
            terms["nll"] = -log_probs[::copies, :given].sum() / len(begun)
        return Loss(terms, {"reward": log_ratios.sigmoid().mean(), "largest_weight": weights.amax()})

    def _weights(self, tokens: Tensor, log_ratios: Tensor, copies: int) -> Tensor:
        """What each word of sentences ``(B, T)`` weighs, before the baseline; `copies` consecutive ones are a group."""
        if self.config.reward == "constant":
            return torch.ones_like(tokens, dtype=torch.float32)
        if self.config.rollouts == 0:
            return ratio_weights(log_ratios.view(-1, copies)).view(-1, 1).expand_as(tokens)
        shift, rollouts = log_ratios.max(), self.config.rollouts

        def ratio(sentences: Tensor, shared: int = 0, copies: int = 1) -> Tensor:
            return (self._log_ratios(sentences, shared, copies) - shift).clamp(-LARGEST, LARGEST).exp()

        with evaluating(self.generator):
            values = rollout_rewards(
                self.generator,
                self.spec,
                tokens,
                lambda sentences, _: ratio(sentences),
                rollouts,
                self.config.temperature,
                shared_reward=lambda sentences, t: ratio(sentences, t, rollouts),
            )
        return ratio_weights(values.log().unflatten(0, (-1, copies))).flatten(0, 1)

    @torch.no_grad()
    def _log_ratios(self, sentences: Tensor, shared: int = 0, copies: int = 1) -> Tensor:
        """log D / (1 - D) of sentences, with dropout off."""
        with evaluating(self.opponent.network):
            return self.opponent.network(sentences, shared, copies).float()


def ratio_weights(log_ratios: Float[Tensor, "groups samples *positions"]) -> Float[Tensor, "groups samples *positions"]:
    """n r_i / sum_j r_j among the n samples of each group, from log r; those of log r = -inf do not count.

    The weights of a group's samples have a mean of 1, however large or small its ratios are.
    """
    counts = log_ratios > -torch.inf
    return torch.where(counts, log_ratios.softmax(1) * counts.sum(1, keepdim=True), 0.0)
