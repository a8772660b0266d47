"""SeqGAN: sequence generative adversarial nets with policy gradient (Yu, Zhang, Wang, Yu; AAAI 2017; arXiv 1609.05473).

The generator is a policy, its words are actions, and the discriminator's score of a finished sentence is the reward.
A word is credited with what the sentences that may follow it are worth, estimated by Monte-Carlo roll-outs (eq. 4)::

    Q(y_1..t) = (1/N) sum_n D(y_1..t, completion_n)     t < T
    Q(y_1..T) = D(y_1..T)

    L_G = -(1/B) sum_bt (Q_bt - baseline) log p(y_bt | y_b,<t)                                            (eq. 8)
    L_D = -1/2 E log D(real) - 1/2 E log(1 - D(fake)) + l2/2 |w_out|^2                                    (eq. 5)

The completions are drawn by a roll-out policy that follows the generator: phi <- rate phi + (1 - rate) theta.
D is a CNN over words with a highway layer; its dropout is off while it rewards.

Differs from the paper: D has one logit and a sigmoid in place of two and a softmax; a D batch holds `batch_size` real
sentences and as many fakes in place of 64 drawn from both; L_G is a mean over sentences, not a sum (Adam does not
see the difference, the clip does). Sentences may end early. Baseline, whitening and the pool's refresh share are
switches that the paper does not have. ``configs/seqgan-oracle.yaml`` has the paper's sizes and schedule; the
defaults are a short schedule for the embedded corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from textgan.data.spec import TextSpec
from textgan.game import Loss, Stage, Turn
from textgan.networks.generators import GeneratorConfig
from textgan.parts.opponent import TINY_OPPONENT, OpponentConfig
from textgan.parts.opponent_game import OpponentGame
from textgan.parts.rollout_policy import RolloutGameConfig, RolloutPolicy
from textgan.parts.text_game import Pretraining


@dataclass(frozen=True)
class Config(RolloutGameConfig):
    """SeqGAN."""

    discriminator: OpponentConfig = OpponentConfig()
    """Its network, its loss and how it learns."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every reward is 1, a control that shows what the discriminator is worth."""
    baseline: Literal["none", "batch"] = "none"
    """What is taken off a reward. none: the paper. batch: the mean reward of the other sentences at the position."""


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1), discriminator=TINY_OPPONENT,
    rounds=2, rollouts=2, batch_size=32,
)  # fmt: skip


class SeqGAN(OpponentGame):
    """Generator and discriminator; the generator has one optimiser for likelihood and one for policy gradient."""

    config: Config

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__(config, spec)
        self.rollouts = RolloutPolicy(self.generator, config)

    def stages(self) -> Sequence[Stage]:
        return self.after_pretraining(*self.rollouts.moves(self.generator, self.config, self._reinforce))

    def fakes(self, n: int) -> Tensor:
        """Sentences at the temperature of the game."""
        return self.sample(n, self.config.temperature)

    def _reinforce(self, real: Tensor, turn: Turn) -> Loss:
        config = self.config
        tokens = self.fakes(len(real))
        return self.reinforce(tokens, self._rewards(tokens), config.temperature, config.baseline, config.whiten)

    def _rewards(self, tokens: Tensor) -> Tensor:
        if self.config.reward == "constant":
            return (tokens != self.spec.pad).float()
        reward = self.opponent.reward
        return self.rollouts.rewards(tokens, reward, lambda rows, t: reward(rows, t, self.config.rollouts))
