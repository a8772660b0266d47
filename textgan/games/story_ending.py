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
draws none of them), and shared word embeddings. Sizes, rates, the number
of roll-outs, the share of teacher forcing and the baselines, which the paper does not say, are ours. A share of the
discriminator's negatives are human endings of other stories (Reed et al., 2016), without which it need not look at the
context; ``--game.mismatched 0`` is the paper. Completions are drawn by the generator itself, with dropout off.
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
from textgan.errors import check_above_zero, check_at_least, check_share
from textgan.game import Loss, Move, Stage, Turn
from textgan.losses import accuracy, discriminator_loss
from textgan.networks.endings import EndingPolicy
from textgan.networks.hierarchical import HierarchicalDiscriminator
from textgan.networks.modes import evaluating
from textgan.networks.story_generator import story_generator
from textgan.parts.story_game import StoryGame
from textgan.policy_gradient import advantages, reinforce_loss, rollout_rewards


@dataclass(frozen=True)
class Config:
    """Story endings by Seq2Seq + RL + GAN."""

    generator: str = "lstm"
    """lstm: a recurrent encoder-decoder. hf:PATH: the transformers model in the folder PATH, of its own sizes."""
    embedding: int = 128
    """Width of the word embeddings, which the generator's encoder, decoder and output share."""
    hidden: int = 256
    """Units of the generator's LSTMs."""
    layers: int = 1
    """Layers of encoder and decoder."""
    attention: bool = True
    """Let the decoder look at every word of the context."""
    copy: bool = True
    """Let the decoder copy words of the context by its attention."""
    dropout: float = 0.3
    """Dropout on the generator's embeddings, between its layers and before its output, in [0, 1)."""
    batch_size: int = 64
    """Stories a step."""
    clip: float = 5.0
    """Largest norm of the generator's gradient."""

    mle_epochs: int = 12
    """Passes over the corpus by likelihood before the game."""
    mle_learning_rate: float = 2e-3
    """Adam's step size by likelihood."""

    rounds: int = 60
    """Adversarial rounds."""
    generator_steps: int = 1
    """Policy-gradient steps a round."""
    teacher_steps: int = 1
    """Steps of teacher forcing on human endings a round."""
    discriminator_steps: int = 3
    """Steps of the discriminator a round."""
    learning_rate: float = 2e-4
    """Adam's step size of the generator in the game."""
    rollouts: int = 5
    """N: completions of each prefix."""
    temperature: float = 1.0
    """Temperature at which endings are drawn to be rewarded, and at which roll-outs are drawn."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every reward is 1, a control that shows what the discriminator is worth."""
    baseline: Literal["none", "batch", "moving", "learned"] = "learned"
    """What is taken off a reward. batch: the mean reward of the other endings at the position. moving: a running mean
    of the rewards at the position. learned: a linear value of the generator's features before the token."""
    baseline_decay: float = 0.95
    """Share that the moving baseline keeps of itself, in [0, 1)."""
    whiten: bool = True
    """Divide the rewards by their standard deviation over the batch."""

    discriminator_embedding: int = 64
    """Width of the discriminator's word embeddings."""
    discriminator_hidden: int = 128
    """Units of the discriminator's LSTMs."""
    matching: bool = True
    """Let the discriminator hold every word of the ending against the words of the context."""
    discriminator_dropout: float = 0.1
    """Dropout on the discriminator's embeddings, sentence vectors and representation, in [0, 1)."""
    discriminator_learning_rate: float = 2e-3
    """Adam's step size of the discriminator."""
    discriminator_epochs: int = 6
    """Passes over the corpus by the discriminator before the game."""
    mismatched: float = 0.2
    """Share of the discriminator's negatives that are human endings of other stories, in [0, 1)."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "embedding", "hidden", "layers", "batch_size", "rollouts", "generator_steps")
        check_at_least(1, "game", self, "discriminator_embedding", "discriminator_hidden")
        check_at_least(0, "game", self, "mle_epochs", "rounds", "teacher_steps", "discriminator_steps")
        check_at_least(0, "game", self, "discriminator_epochs")
        check_above_zero("game", self, "clip", "mle_learning_rate", "learning_rate", "temperature")
        check_above_zero("game", self, "discriminator_learning_rate")
        check_share("game", self, "dropout", "baseline_decay", "discriminator_dropout", "mismatched")


TINY = Config(
    embedding=16, hidden=16, batch_size=32, mle_epochs=1, rounds=2, rollouts=2, discriminator_embedding=16,
    discriminator_hidden=16, discriminator_epochs=1,
)  # fmt: skip


class StoryEnding(StoryGame):
    """Generator and discriminator; the generator has one optimiser for likelihood and one for the game."""

    moving: Tensor

    def __init__(self, config: Config, spec: StorySpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        self.batch_size = config.batch_size
        self.generator = story_generator(
            config.generator,
            spec,
            config.embedding,
            config.hidden,
            config.layers,
            config.dropout,
            config.attention,
            config.copy,
        )
        self.discriminator = HierarchicalDiscriminator(
            spec,
            config.discriminator_embedding,
            config.discriminator_hidden,
            config.discriminator_dropout,
            config.matching,
        )
        self.value = nn.Linear(self.generator.hidden_size, 1) if config.baseline == "learned" else None
        self.register_buffer("moving", torch.zeros(spec.length))

    def optimizers(self) -> dict[str, Optimizer]:
        config = self.config
        players = [{"params": list(self.generator.parameters()), "lr": config.learning_rate}]
        if self.value is not None:
            players.append({"params": list(self.value.parameters()), "lr": config.mle_learning_rate})
        return {
            "generator_mle": Adam(self.generator.parameters(), lr=config.mle_learning_rate),
            "generator": Adam(players),
            "discriminator": Adam(self.discriminator.parameters(), lr=config.discriminator_learning_rate),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        pretrain = Move("generator_mle", self.likelihood, self.epoch, clip=config.clip)
        reinforce = Move("generator", self._reinforce, config.generator_steps, clip=config.clip)
        teach = Move("generator", self.likelihood, config.teacher_steps, clip=config.clip)
        discriminate = Move("discriminator", self._discriminate, config.discriminator_steps, clip=config.clip)
        first = Move("discriminator", self._discriminate, self.epoch, clip=config.clip)
        moves = [move for move in (reinforce, teach, discriminate) if move.times]
        return [
            Stage("pretrain_generator", config.mle_epochs, [pretrain]),
            Stage("pretrain_discriminator", config.discriminator_epochs, [first]),
            Stage("adversarial", config.rounds, moves),
        ]

    def score(self, context: Tensor, tokens: Tensor) -> Tensor:
        """The discriminator's probability ``(n,)`` that endings ``(n, T)``, n / B of each context, are human."""
        with evaluating(self.discriminator):
            story = self.discriminator.read(context).times(len(tokens) // len(context))
            return self.discriminator(story, tokens).sigmoid()

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
        fake = self.sample(len(real.context), real.context, self.config.temperature)
        story = self.discriminator.read(real.context)
        human = self.discriminator(story, real.ending)
        generated = self.discriminator(story, fake)
        real_loss, fake_loss = discriminator_loss(human, generated)
        share = self.config.mismatched
        terms = {"real": real_loss / 2, "fake": (1 - share) * fake_loss / 2}
        info = {"accuracy": accuracy(human, generated)}
        if share:
            other = self.discriminator(story, real.ending.roll(1, 0))
            terms["mismatched"] = share * discriminator_loss(human, other)[1] / 2
            info["mismatched_accuracy"] = accuracy(human, other)
        return Loss(terms, info)
