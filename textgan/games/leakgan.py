"""LeakGAN: long text generation via adversarial training with leaked information (Guo et al.; AAAI 2018; 1709.08624).

The discriminator leaks the features f_t that it has of the words so far to a *manager*, which sets a goal g_t, a
direction for the features to change in; a *worker* writes the words under the goals of the last c steps
(`textgan.networks.leaked`). With Q_t, the worth of a word by Monte-Carlo roll-outs, as in SeqGAN::

    L_manager = -(1/B) sum_bt Q~_bt cos(f_b,t+c - f_bt, g_bt)                                             (eq. 8)
    L_worker  = -(1/B) sum_bt r_bt log p(y_bt | y_b,<t),  r_t = mean_i=1..c cos(f_t - f_t-i, g_t-i)       (eqs. 9, 10)

Here Q_t is that of the first word written under g_t, f_t+c is the features of the whole sentence where that ends before
(the cosine of features that did not change is 0), and Q~ is Q rescaled by its rank in the batch (`rank_rescaled`).
Neither loss moves the other's network. Before the game the discriminator and the generator learn in turns: the worker
by likelihood, the manager to foresee how the features of real sentences change, -cos(f_t+c - f_t, g_t). The same pass
of likelihood comes back every so many rounds.

Differs from the paper: one step of one optimiser moves manager and worker on the same sentences, in place of one after
the other (they share the clip, nothing else); a goal is set after every word, and the first ones of a sentence, where
fewer than c have been set, are averaged over as many as there are; the paper's goals begin with a vector of their own;
roll-outs follow the generator itself. D learns as SeqGAN's here does (one logit, as many fakes as real sentences).
Everything is drawn at temperature 1, in training and after it; the authors' code sharpens its samples when they are
evaluated (logits times 1.5). The generator's kind is the method, so there is no choice of one, and the discriminator
must be a CNN, whose features can follow a sentence word by word. ``configs/leakgan-oracle.yaml`` has the paper's sizes
and schedule for the oracle, ``configs/leakgan-captions.yaml`` sizes for captions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.errors import check_above_zero, check_at_least, check_fields
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.leaked import LeakedConfig, LeakedGenerator
from textgan.networks.modes import evaluating
from textgan.networks.text_cnn import TextCNN
from textgan.parts.opponent import TINY_OPPONENT, Opponent, OpponentConfig
from textgan.parts.text_game import Pretraining, TextGame
from textgan.policy_gradient import rank_rescaled, reinforce_loss, rollout_rewards


@dataclass(frozen=True)
class Config:
    """LeakGAN."""

    generator: LeakedConfig = LeakedConfig()
    """Manager and worker."""
    pretraining: Pretraining = Pretraining(epochs=1)
    """Likelihood: its `epochs` are passes each time that discriminator and generator learn in turns."""
    discriminator: OpponentConfig = OpponentConfig(widths=(1, 2, 3, 4, 5), filters=(64,) * 5, rounds=2)
    """Its network, its loss and how it learns; `rounds` are the refills of each turn. Its kind must be cnn."""
    batch_size: int = 64
    """Sentences a generator step."""
    interleavings: int = 2
    """Turns in which first the discriminator learns, then the generator, before the game."""
    rounds: int = 15
    """Adversarial rounds."""
    generator_steps: int = 1
    """Policy-gradient steps a round."""
    likelihood_every: int = 15
    """Rounds from one pass of likelihood to the next; the first round begins with one."""
    learning_rate: float = 1e-3
    """Adam's step size by policy gradient."""
    clip: float = 5.0
    """Largest norm of the generator's policy gradient."""
    rollouts: int = 4
    """N: completions of each prefix."""
    rank_smoothness: float = 12.0
    """delta of the rescaling by rank: the higher, the nearer rewards are to 0 and 1."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: Q is 1 everywhere, a control that shows what D's score is worth; its features leak all the same."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "batch_size", "rollouts", "generator_steps", "likelihood_every")
        check_at_least(0, "game", self, "rounds", "interleavings")
        check_above_zero("game", self, "clip", "learning_rate", "rank_smoothness")
        check_fields("game.discriminator", self.discriminator, "cnn", lambda kind: kind == "cnn", "kind")


TINY = Config(
    generator=LeakedConfig(embedding=16, hidden=8, goal=4, window=2), pretraining=Pretraining(epochs=1),
    discriminator=TINY_OPPONENT, interleavings=1, rounds=2, rollouts=2, batch_size=32, likelihood_every=2,
)  # fmt: skip


class LeakGAN(TextGame):
    """Generator (manager and worker) and discriminator; the generator has an optimiser for likelihood, and another."""

    config: Config
    generator: LeakedGenerator

    def __init__(self, config: Config, spec: TextSpec) -> None:
        opponent = Opponent(config.discriminator, spec, config.batch_size)
        assert isinstance(opponent.network, TextCNN)
        super().__init__(config, spec, LeakedGenerator(config.generator, spec, opponent.network))
        self.opponent = opponent

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            **self.pretraining_optimizer(self.config.pretraining),
            "generator": Adam(self.generator.parameters(), lr=self.config.learning_rate),
            **self.opponent.optimizer(),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        epoch = math.ceil(self.spec.train_size / self.batch_size)
        taught = config.pretraining.epochs * epoch
        clip = config.pretraining.clip
        likelihood = Move("generator_mle", self.likelihood, epoch, config.likelihood_every, clip=clip)
        reinforce = Move("generator", self._reinforce, config.generator_steps, clip=config.clip)
        in_turns = [
            *list(self.opponent.pretrain(self.sample).moves) * config.discriminator.rounds,
            *[Move("generator_mle", self.likelihood, taught, clip=clip)] * (taught > 0),
        ]
        return [
            Stage("pretrain_in_turns", config.interleavings, in_turns),
            Stage("adversarial", config.rounds, [likelihood, reinforce, *self.opponent.moves(self.sample)]),
        ]

    def likelihood(self, real: Tensor, turn: Turn) -> Loss:
        """The worker's cross-entropy in nats per token; minus the mean cosine of the manager's goals, per token."""
        reading = self.generator.read(real)
        mask = real != self.spec.pad
        nll = -self.generator.log_probs_of(reading.outputs, real).sum() / mask.sum()
        reached = self._reached(reading.features, reading.goals, mask)
        return Loss({"nll": nll, "goal": -(reached * mask).sum() / mask.sum()})

    def _reinforce(self, real: Tensor, turn: Turn) -> Loss:
        tokens = self.sample(len(real))
        mask = tokens != self.spec.pad
        worth = self._worth(tokens)
        with evaluating(self.generator):  # the policy that drew the words, not a thinned one
            reading = self.generator.read(tokens)
            log_probs = self.generator.log_probs_of(reading.outputs, tokens)
        intrinsic = intrinsic_rewards(reading.features, reading.goals.detach(), self.config.generator.window)
        return Loss(
            {
                "manager": reinforce_loss(self._reached(reading.features, reading.goals, mask), worth, mask),
                "worker": reinforce_loss(log_probs, intrinsic, mask),
            },
            {"intrinsic_reward": (intrinsic * mask).sum() / mask.sum()},
        )

    def _reached(self, features: Tensor, goals: Tensor, mask: Tensor) -> Tensor:
        return F.cosine_similarity(changes(features, mask.sum(1), self.config.generator.window), goals, dim=2)

    def _worth(self, tokens: Tensor) -> Tensor:
        """Q~: the roll-outs' rewards, rescaled by rank."""
        mask = tokens != self.spec.pad
        if self.config.reward == "constant":
            return mask.float()
        rollouts = self.config.rollouts
        with evaluating(self.generator):
            rewards = rollout_rewards(
                self.generator,
                self.spec,
                tokens,
                lambda sentences, _: self.opponent.reward(sentences),
                rollouts,
                shared_reward=lambda sentences, t: self.opponent.reward(sentences, t, rollouts),
            )
        return rank_rescaled(rewards, mask, self.config.rank_smoothness)


def changes(
    features: Float[Tensor, "batch length_1 features"], lengths: Int[Tensor, " batch"], window: int
) -> Float[Tensor, "batch length features"]:
    """f_t+c - f_t for t = 0..T-1, where f_t are the features of the first t words, of all where there are no more."""
    now = torch.arange(features.shape[1] - 1, device=features.device)
    then = torch.minimum(now + window, lengths[:, None])  # (B, T)
    return features.gather(1, then[:, :, None].expand(-1, -1, features.shape[2])) - features[:, :-1]


def intrinsic_rewards(
    features: Float[Tensor, "batch length_1 features"], goals: Float[Tensor, "batch length features"], window: int
) -> Float[Tensor, "batch length"]:
    """What the words y_1..T have done for the goals: the mean of cos(f_t - f_t-i, g_t-i) over i = 1..min(c, t)."""
    total = torch.zeros_like(goals[:, :, 0])
    for i in range(1, min(window, goals.shape[1]) + 1):
        change = features[:, i:] - features[:, :-i]  # row t - i: f_t - f_t-i
        total[:, i - 1 :] += F.cosine_similarity(change, goals[:, : goals.shape[1] - i + 1], dim=2)
    set_before = torch.arange(1, goals.shape[1] + 1, device=goals.device).clamp(max=window)
    return total / set_before
