"""A discriminator of answers that is a reward model, and the games that have one.

It learns from preferences: that a human's (or a teacher's) answer y to the prompt x is better than the generator's, y'.
By Bradley and Terry (1952) the probability of it is s(D(x, y) - D(x, y')), s = sigmoid, which is a softmax over the
pair of scores; the loss is that of a relativistic discriminator::

    L_D = -E log s(D(x, y) - D(x, y'))

Only differences of scores at one prompt mean anything.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from textgan.data.spec import StorySpec
from textgan.data.stories import StoryBatch
from textgan.game import Loss, Move, Stage, Turn
from textgan.losses import OBJECTIVES
from textgan.networks.answer_scorer import ScorerConfig, answer_scorer
from textgan.networks.modes import evaluating
from textgan.parts.experience import Experience
from textgan.parts.story_game import StoryGame
from textgan.policy_gradient import rollout_rewards

PLAYER = "discriminator"


class RewardModel(nn.Module):
    """The network and its loss: the player ``discriminator``."""

    def __init__(self, config: ScorerConfig, spec: StorySpec) -> None:
        super().__init__()
        self.config = config
        self.network = answer_scorer(config, spec)

    def optimizer(self) -> dict[str, Optimizer]:
        """Adam."""
        return {PLAYER: Adam(self.network.learned(), lr=self.config.learning_rate)}

    def reward(self, context: Tensor, answers: Tensor) -> Tensor:
        """D of answers ``(n, T)``, n / B to each context ``(B, S, L)`` in turn, without gradient and dropout."""
        with evaluating(self.network), torch.no_grad():
            return self.network(context, answers).float()

    def loss(self, context: Tensor, human: Tensor, answers: Tensor) -> Loss:
        """Bradley and Terry's, in nats a pair: the human answer ``(B, T)`` against each of ``(B, N, T)``."""
        n = answers.shape[1]
        rows = torch.cat([human[:, None], answers], 1).flatten(0, 1)
        better, worse = self.network(context, rows).float().view(-1, 1 + n).split([1, n], 1)
        preference = sum(OBJECTIVES["relativistic"].discriminator(better.expand_as(worse), worse))
        assert isinstance(preference, Tensor)
        return Loss({"preference": preference}, {"accuracy": (better > worse).float().mean()})


class RewardedGame(StoryGame):
    """A game whose generator is rewarded for answers, which it keeps in `experience`, by a reward model.

    `experience` has at least the rows ``context`` (S, L), ``human`` (T) and ``answers`` (N, T).
    """

    discriminator: RewardModel
    experience: Experience

    def describe(self, folder: Path) -> None:
        """Write what the networks need: the generator's into `folder`, the discriminator's into a folder in it."""
        super().describe(folder)
        self.discriminator.network.describe(folder / PLAYER)

    def score(self, context: Tensor, tokens: Tensor) -> Tensor:
        """s(D) ``(n,)`` of answers ``(n, T)``, n / B to each context: it orders answers to one context."""
        return self.discriminator.reward(context, tokens).sigmoid()

    def rewards(self, context: Tensor, tokens: Tensor, rollouts: int, temperature: float = 1.0) -> Tensor:
        """Mean score of the completions of each token's prefix, for ``(n, T)`` as in `score`; 0 at padding."""
        with evaluating(self.generator), torch.no_grad():
            policy, prompts = self.policy(context), context.repeat_interleave(len(tokens) // len(context), 0)
            return rollout_rewards(
                policy, self.spec, tokens, lambda y, rows: self.score(prompts[rows], y), rollouts, temperature
            )

    def pretrain_discriminator(self, rounds: int, steps: int, clip: float, part: int | None = None) -> Stage:
        """The stage in which the discriminator learns on fresh answers of the generator as it is, one to each prompt of
        a batch, or of its first `part`.
        """

        def prefer(real: StoryBatch, turn: Turn) -> Loss:
            context, human = real.context[:part], real.ending[:part]
            return self.discriminator.loss(context, human, self.sample(len(context), context)[:, None])

        return Stage("pretrain_discriminator", rounds, [Move(PLAYER, prefer, steps, clip=clip)])

    def _prefer_to_seen(self, part: int) -> Loss:
        """The loss on the next rows of the experience."""
        seen = self.experience.draw(part)
        return self.discriminator.loss(seen["context"], seen["human"], seen["answers"])
