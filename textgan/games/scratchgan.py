"""ScratchGAN: training language GANs from scratch (de Masson d'Autume, Rosca, Rae, Mohamed; NeurIPS 2019; 1905.09922).

There is no pretraining at all. The discriminator judges every token given those before it, so that rewards are dense;
what a token is worth is the discounted sum of the rewards from it on (eqs. 5 to 7)::

    r_t = 2 D(y_t | y_1..t-1) - 1        R_t = sum_{s >= t} gamma^(s - t) r_s
    L_G = -(1/B) sum_bt (R_bt - b) log p(y_bt | y_b,<t)
    L_D = -E log D(real token) - E log(1 - D(fake token)), means over tokens

The baseline b is one number, a moving average of the mean of R_t over the tokens of a batch: after each step
b <- decay b + (1 - decay) mean R. A token counts as real with what stands before it real, too. The variance is kept
low by large batches.

The generator is two LSTM layers with the output tied to the word vectors, part of which never learns; the
discriminator reads such vectors beside sines of the place.

Differs from the paper: the frozen part of the vectors is drawn at random, as no file of vectors (GloVe) is given; layer
normalisation stands before and after D's LSTM and not in its cell; L_G is a sum over a
sentence's tokens. The generator's network and D's objective are switches. ``configs/scratchgan-captions.yaml`` has the
paper's sizes and rates, ``configs/scratchgan-oracle.yaml`` small ones for the oracle; the defaults are in between,
with a slower discriminator and a faster generator: with both at 1e-3 and batches of 128 D wins, every token earns -1,
and the generator ends its sentences at once. Minutes on a CPU do not give sentences: the paper's runs are of many
thousand steps of 512.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.errors import check_above_zero, check_at_least, check_fields, check_share
from textgan.game import Loss, Move, Stage, Turn
from textgan.losses import OBJECTIVES, ObjectiveName, accuracy
from textgan.networks.generators import GeneratorConfig
from textgan.networks.modes import evaluating
from textgan.networks.token_lstm import TokenLSTM
from textgan.parts.text_game import TextGame
from textgan.policy_gradient import advantages, reinforce_loss, rewards_to_go


@dataclass(frozen=True)
class TokenDiscriminatorConfig:
    """The discriminator: its network, its loss, and how it learns."""

    embedding: int = 32
    """Numbers of a word's vector that learn."""
    frozen: int = 64
    """Numbers of a word's vector that are drawn once."""
    hidden: int = 128
    """Units of the LSTM."""
    positions: int = 8
    """Sines and cosines of the place, an even number."""
    weight_decay: float = 1e-4
    """Weight of half the squared norm of all its weights."""
    dropout: float = 0.1
    """Dropout before the output, in [0, 1)."""
    loss: ObjectiveName = "standard"
    """What it minimises over tokens: standard (cross-entropy, the paper), or another objective but relativistic, which
    needs pairs."""
    learning_rate: float = 2e-4
    """Adam's step size."""
    steps: int = 1
    """Steps a round."""

    def __post_init__(self) -> None:
        group = "game.discriminator"
        check_at_least(1, group, self, "embedding", "hidden", "steps")
        check_at_least(0, group, self, "frozen", "weight_decay")
        check_fields(group, self, "an even number of at least 2", lambda n: n >= 2 and n % 2 == 0, "positions")
        check_share(group, self, "dropout")
        check_fields(group, self, "an objective that needs no pairs", lambda name: name != "relativistic", "loss")
        check_above_zero(group, self, "learning_rate")


@dataclass(frozen=True)
class Config:
    """ScratchGAN."""

    generator: GeneratorConfig = GeneratorConfig("tied", embedding=32, frozen=64, hidden=128, dropout=0.0)
    """Its network."""
    discriminator: TokenDiscriminatorConfig = TokenDiscriminatorConfig()
    """Its network, its loss and how it learns."""
    batch_size: int = 128
    """Sentences a step, of real ones and of fakes."""
    rounds: int = 600
    """Adversarial rounds: as many steps of the generator."""
    learning_rate: float = 1e-3
    """Adam's step size of the generator."""
    momentum: float = 0.5
    """Adam's first beta, of both players, in [0, 1)."""
    discount: float = 0.23
    """gamma, in [0, 1]."""
    baseline_decay: float = 0.08
    """Share of itself that the baseline keeps at a step, in [0, 1)."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every token's reward is 1, a control that shows what the discriminator is worth."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "batch_size")
        check_at_least(0, "game", self, "rounds")
        check_above_zero("game", self, "learning_rate")
        check_share("game", self, "momentum", "baseline_decay")
        check_fields("game", self, "in [0, 1]", lambda share: 0 <= share <= 1, "discount")


TINY = Config(
    generator=GeneratorConfig("tied", embedding=8, frozen=8, hidden=16),
    discriminator=TokenDiscriminatorConfig(embedding=8, frozen=8, hidden=16, positions=4), rounds=4, batch_size=32,
)  # fmt: skip


class ScratchGAN(TextGame):
    """Generator, discriminator of tokens, and the baseline, which is a buffer."""

    config: Config

    baseline: Tensor

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__(config, spec)
        of_tokens = config.discriminator
        self.discriminator = TokenLSTM(
            spec, of_tokens.embedding, of_tokens.frozen, of_tokens.hidden, of_tokens.positions, of_tokens.dropout
        )
        self.register_buffer("baseline", torch.zeros(()))
        self._objective = OBJECTIVES[of_tokens.loss]

    def optimizers(self) -> dict[str, Optimizer]:
        config, betas = self.config.discriminator, (self.config.momentum, 0.999)
        return {
            "generator": Adam(self.generator.parameters(), lr=self.config.learning_rate, betas=betas),
            "discriminator": Adam(
                self.discriminator.parameters(), config.learning_rate, betas, weight_decay=config.weight_decay
            ),
        }

    def stages(self) -> Sequence[Stage]:
        discriminate = Move("discriminator", self._discriminate, self.config.discriminator.steps)
        return [Stage("adversarial", self.config.rounds, [discriminate, Move("generator", self._reinforce)])]

    def _discriminate(self, real: Tensor, turn: Turn) -> Loss:
        fake = self.sample(len(real))
        scores = [self.discriminator(tokens)[tokens != self.spec.pad] for tokens in (real, fake)]
        on_real, on_fake = self._objective.discriminator(*scores)
        return Loss({"real": on_real, "fake": on_fake}, {"accuracy": accuracy(*scores)})

    def _reinforce(self, real: Tensor, turn: Turn) -> Loss:
        tokens = self.sample(len(real))
        mask = tokens != self.spec.pad
        rewards = self._rewards(tokens)
        worth = rewards_to_go(rewards, mask, self.config.discount)
        above = advantages(worth, mask, self.baseline.expand_as(worth), normalize=False)
        self._follow(worth.sum() / mask.sum())
        with evaluating(self.generator):  # the policy that drew the words, not a thinned one
            log_probs = self.generator.log_probs(tokens)
        info = {"reward": rewards.sum() / mask.sum(), "baseline": self.baseline.clone()}
        return Loss({"policy_gradient": reinforce_loss(log_probs, above, mask)}, info)

    @torch.no_grad()
    def _rewards(self, tokens: Tensor) -> Tensor:
        mask = (tokens != self.spec.pad).float()
        if self.config.reward == "constant":
            return mask
        with evaluating(self.discriminator):
            return (2 * self._objective.reward(self.discriminator(tokens)) - 1).float() * mask

    @torch.no_grad()
    def _follow(self, worth: Tensor) -> None:
        self.baseline.lerp_(worth, 1 - self.config.baseline_decay)
