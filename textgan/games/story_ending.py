"""Story endings by Seq2Seq + RL + GAN (Li, Ding and Liu; COLING 2018): given four sentences, write the fifth.

The generator, a recurrent encoder-decoder, is a policy; the discriminator, a hierarchical RNN, tells human endings from
generated ones after their context x. A word is credited with what the endings that may follow it are worth, estimated
by Monte-Carlo search::

    Q(y_1..t) = (1/N) sum_n D(x, y_1..t completion_n)     t < T
    Q(y_1..T) = D(x, y_1..T)

    L_G = -(1/B) sum_bt (Q_bt - b_bt) log p(y_bt | x_b, y_b,<t)
    L_D = -1/2 E log D(x, human) - 1/2 E log(1 - D(x, generated))

Steps of teacher forcing on human endings lie between the policy's own, so that it goes on seeing good endings. The
schedule: likelihood for the generator, then the discriminator on human against generated endings, then both in turn.

Differs from the paper: attention and copying in the generator, matching in the discriminator (switches; the paper
draws none of them), and shared word embeddings. Sizes, rates, the number of roll-outs, the share of teacher forcing and
the baselines, which the paper does not say, are ours. A share of the discriminator's negatives are human endings of
other stories (Reed et al., 2016), without which it need not look at the context; ``--game.discriminator.mismatched 0``
is the paper. Completions are drawn by the generator itself, with dropout off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from textgan.data.spec import StorySpec
from textgan.data.stories import StoryBatch
from textgan.errors import check_at_least, check_share
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.endings import EndingPolicy
from textgan.networks.modes import evaluating
from textgan.networks.story_generator import WriterConfig
from textgan.parts.story_game import StoryGame, WriterGameConfig
from textgan.parts.story_opponent import PLAYER, StoryOpponent, StoryOpponentConfig
from textgan.parts.text_game import Pretraining
from textgan.policy_gradient import advantages, reinforce_loss, rollout_rewards


@dataclass(frozen=True)
class Config(WriterGameConfig):
    """Story endings by Seq2Seq + RL + GAN."""

    pretraining: Pretraining = Pretraining(epochs=12, learning_rate=2e-3)
    """Maximum likelihood before the game."""
    discriminator: StoryOpponentConfig = StoryOpponentConfig()
    """Its network, and how it learns."""
    batch_size: int = 64
    """Stories a step."""
    learning_rate: float = 2e-4
    """Adam's step size of the generator in the game."""
    clip: float = 5.0
    """Largest norm of a gradient."""
    rounds: int = 60
    """Adversarial rounds."""
    generator_steps: int = 1
    """Policy-gradient steps a round."""
    teacher_steps: int = 1
    """Steps of teacher forcing on human endings a round."""
    rollouts: int = 5
    """N: completions of each prefix."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every reward is 1, a control that shows what the discriminator is worth."""
    baseline: Literal["none", "batch", "moving", "learned"] = "learned"
    """What is taken off a reward. batch: the mean reward of the other endings at the position. moving: a running mean
    of the rewards at the position. learned: a linear value of the generator's features before the token."""
    baseline_decay: float = 0.95
    """Share that the moving baseline keeps of itself, in [0, 1)."""
    whiten: bool = True
    """Divide the rewards by their standard deviation over the batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "rollouts", "generator_steps")
        check_at_least(0, "game", self, "rounds", "teacher_steps")
        check_share("game", self, "baseline_decay")


TINY = Config(
    generator=WriterConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1, learning_rate=2e-3),
    discriminator=StoryOpponentConfig(embedding=16, hidden=16, epochs=1), batch_size=32, rounds=2, rollouts=2,
)  # fmt: skip


class StoryEnding(StoryGame):
    """Generator and discriminator; the generator has one optimiser for likelihood and one for the game."""

    moving: Tensor

    def __init__(self, config: Config, spec: StorySpec) -> None:
        super().__init__()
        self.config, self.spec, self.batch_size = config, spec, config.batch_size
        self.generator = config.generator.build(spec, config.lora)
        self.discriminator = StoryOpponent(config.discriminator, spec)
        self.value = nn.Linear(self.generator.hidden_size, 1) if config.baseline == "learned" else None
        self.register_buffer("moving", torch.zeros(spec.length))

    def optimizers(self) -> dict[str, Optimizer]:
        config = self.config
        players = [{"params": list(self.generator.learned()), "lr": config.learning_rate}]
        if self.value is not None:
            players.append({"params": list(self.value.parameters()), "lr": config.pretraining.learning_rate})
        return {
            **self.pretraining_optimizer(config.pretraining),
            "generator": Adam(players),
            **self.discriminator.optimizer(),
        }

    def stages(self) -> Sequence[Stage]:
        config, opponent = self.config, self.config.discriminator
        reinforce = Move("generator", self._reinforce, config.generator_steps, clip=config.clip)
        teach = Move("generator", self.likelihood, config.teacher_steps, clip=config.clip)
        discriminate = Move(PLAYER, self._discriminate, opponent.steps, clip=config.clip)
        first = Move(PLAYER, self._discriminate, self.epoch, clip=config.clip)
        moves = [move for move in (reinforce, teach, discriminate) if move.times]
        return [
            self.pretrain_generator(config.pretraining),
            Stage("pretrain_discriminator", opponent.epochs, [first]),
            Stage("adversarial", config.rounds, moves),
        ]

    def score(self, context: Tensor, tokens: Tensor) -> Tensor:
        """The discriminator's probability ``(n,)`` that endings ``(n, T)``, n / B of each context, are human."""
        return self.discriminator.reward(context, tokens)

    def rewards(self, context: Tensor, tokens: Tensor, rollouts: int, temperature: float = 1.0) -> Tensor:
        """Q of each token ``(n, T)`` of endings of which there are n / B of each context; 0 at padding."""
        with evaluating(self.generator, self.discriminator), torch.no_grad():
            story = self.discriminator.read(context).times(len(tokens) // len(context))
            return rollout_rewards(
                self.policy(context),
                self.spec,
                tokens,
                lambda endings, origins: self.discriminator(story.of(origins), endings).sigmoid(),
                rollouts,
                temperature,
            )

    def _reinforce(self, real: StoryBatch, turn: Turn) -> Loss:
        config = self.config
        with torch.no_grad():
            tokens = self.sample(len(real.context), real.context, config.temperature)
        mask = tokens != self.spec.pad
        if config.reward == "constant":
            rewards = mask.float()
        else:
            rewards = self.rewards(real.context, tokens, config.rollouts, config.temperature)
        with evaluating(self.generator):  # the policy that drew the words, not a thinned one
            policy = self.policy(real.context)
            log_probs = policy.log_probs(tokens, config.temperature)
        baseline, terms = self._baseline(policy, tokens, rewards, mask)
        worth = advantages(rewards, mask, baseline, config.whiten)
        reward = rewards.sum() / mask.sum()
        return Loss({"policy_gradient": reinforce_loss(log_probs, worth, mask), **terms}, {"reward": reward})

    def _baseline(
        self, policy: EndingPolicy, tokens: Tensor, rewards: Tensor, mask: Tensor
    ) -> tuple[Literal["none", "batch"] | Tensor, dict[str, Tensor]]:
        """What is taken off the rewards, and the loss that it learns by."""
        config = self.config
        if config.baseline == "learned":
            assert self.value is not None
            with evaluating(self.generator), torch.no_grad():
                features = policy.outputs(tokens)
            value = self.value(features.float()).squeeze(2)
            error = ((value - rewards).square() * mask).sum() / mask.sum()
            return value.detach(), {"value": error}
        if config.baseline == "moving":
            before = self.moving.clone()
            seen = mask.any(0)
            mean = (rewards.sum(0) / mask.sum(0).clamp(min=1)).to(self.moving)
            self.moving[seen] = torch.lerp(mean, self.moving, config.baseline_decay)[seen]
            return before.expand_as(rewards), {}
        return config.baseline, {}

    def _discriminate(self, real: StoryBatch, turn: Turn) -> Loss:
        return self.discriminator.loss(real, self.sample(len(real.context), real.context, self.config.temperature))
