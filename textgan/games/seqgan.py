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

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.errors import check_above_zero, check_at_least, check_share
from textgan.game import Act, Loss, Move, Stage, Turn
from textgan.networks.generators import GeneratorConfig, text_generator
from textgan.networks.modes import evaluating
from textgan.opponent import TINY_OPPONENT, Opponent, OpponentConfig
from textgan.policy_gradient import advantages, reinforce_loss, rollout_rewards
from textgan.text_game import Pretraining, TextGame


@dataclass(frozen=True)
class Config:
    """SeqGAN."""

    generator: GeneratorConfig = GeneratorConfig()
    """Its network."""
    pretraining: Pretraining = Pretraining()
    """Maximum likelihood before the game."""
    discriminator: OpponentConfig = OpponentConfig()
    """Its network, its loss and how it learns."""
    batch_size: int = 64
    """Sentences a generator step; a discriminator step takes as many real ones and as many fakes."""
    rounds: int = 15
    """Adversarial rounds."""
    generator_steps: int = 2
    """Policy-gradient steps a round."""
    learning_rate: float = 1e-3
    """Adam's step size by policy gradient."""
    clip: float = 5.0
    """Largest norm of the generator's policy gradient."""
    rollouts: int = 8
    """N: completions of each prefix."""
    rollout_rate: float = 0.8
    """Share that the roll-out policy keeps of itself when it follows the generator, in [0, 1)."""
    temperature: float = 1.0
    """Temperature at which sentences are drawn to be rewarded, and at which roll-outs are drawn."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every reward is 1, a control that shows what the discriminator is worth."""
    baseline: Literal["none", "batch"] = "none"
    """What is taken off a reward. none: the paper. batch: the mean reward of the other sentences at the position."""
    whiten: bool = False
    """Divide the rewards by their standard deviation over the batch."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "batch_size", "rollouts", "generator_steps")
        check_at_least(0, "game", self, "rounds")
        check_above_zero("game", self, "clip", "learning_rate", "temperature")
        check_share("game", self, "rollout_rate")


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1), discriminator=TINY_OPPONENT,
    rounds=2, rollouts=2, batch_size=32,
)  # fmt: skip


class SeqGAN(TextGame):
    """Generator and discriminator; the generator has one optimiser for likelihood and one for policy gradient."""

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        self.batch_size = config.batch_size
        self.generator = text_generator(config.generator, spec)
        self.rollout_policy = copy.deepcopy(self.generator)
        self.opponent = Opponent(config.discriminator, spec, config.batch_size)

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            **self.pretraining_optimizer(self.config.pretraining),
            "generator": Adam(self.generator.parameters(), lr=self.config.learning_rate),
            **self.opponent.optimizer(),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        copy_generator = Act(self._copy_generator, every=max(1, config.rounds))
        reinforce = Move("generator", self._reinforce, config.generator_steps, after=self._follow, clip=config.clip)
        return [
            self.pretrain_generator(config.pretraining),
            self.opponent.pretrain(self._fakes),
            Stage("adversarial", config.rounds, [copy_generator, reinforce, *self.opponent.moves(self._fakes)]),
        ]

    def _fakes(self, n: int) -> Tensor:
        return self.sample(n, self.config.temperature)

    def _reinforce(self, real: Tensor, turn: Turn) -> Loss:
        config = self.config
        tokens = self._fakes(len(real))
        mask = tokens != self.spec.pad
        rewards = self._rewards(tokens)
        with evaluating(self.generator):  # the policy that drew the words, not a thinned one
            log_probs = self.generator.log_probs(tokens, config.temperature)
        worth = advantages(rewards, mask, config.baseline, config.whiten)
        reward = rewards.sum() / mask.sum()
        return Loss({"policy_gradient": reinforce_loss(log_probs, worth, mask)}, {"reward": reward})

    def _rewards(self, tokens: Tensor) -> Tensor:
        if self.config.reward == "constant":
            return (tokens != self.spec.pad).float()
        rollouts = self.config.rollouts
        with evaluating(self.rollout_policy):
            return rollout_rewards(
                self.rollout_policy,
                self.spec,
                tokens,
                lambda sentences, _: self.opponent.reward(sentences),
                rollouts,
                self.config.temperature,
                shared_reward=lambda sentences, t: self.opponent.reward(sentences, t, rollouts),
            )

    def _copy_generator(self, turn: Turn) -> None:
        self.rollout_policy.load_state_dict(self.generator.state_dict())

    def _follow(self) -> None:
        for mine, theirs in zip(self.rollout_policy.parameters(), self.generator.parameters(), strict=True):
            mine.lerp_(theirs, 1 - self.config.rollout_rate)
