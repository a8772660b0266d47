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
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.errors import check_above_zero, check_at_least, check_fields, check_share
from textgan.game import Act, Game, Loss, Move, Stage, Turn
from textgan.losses import accuracy, discriminator_loss
from textgan.networks.lstm import LSTMGenerator
from textgan.networks.modes import evaluating
from textgan.networks.text_cnn import SEQGAN_FILTERS, TextCNN
from textgan.policy_gradient import advantages, reinforce_loss, rollout_rewards
from textgan.pools import Pool
from textgan.sampling import sample


@dataclass(frozen=True)
class Config:
    """SeqGAN."""

    embedding: int = 64
    """Width of the generator's word embeddings."""
    hidden: int = 128
    """Units of the generator's LSTM."""
    init_std: float | None = None
    """Standard deviation of the generator's first weights, all of them. None: torch's own initialisation."""
    dropout: float = 0.2
    """Dropout on the generator's embeddings and outputs while it learns by likelihood, in [0, 1)."""
    batch_size: int = 64
    """Sentences a generator step; a discriminator step takes as many real ones and as many fakes."""
    clip: float = 5.0
    """Largest norm of the generator's gradient."""

    mle_epochs: int = 5
    """Passes over the corpus by likelihood before the game."""
    mle_learning_rate: float = 3e-3
    """Adam's step size by likelihood."""

    rounds: int = 15
    """Adversarial rounds."""
    generator_steps: int = 2
    """Policy-gradient steps a round."""
    learning_rate: float = 1e-3
    """Adam's step size by policy gradient."""
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

    widths: tuple[int, ...] = tuple(SEQGAN_FILTERS)
    """Words that each of the discriminator's filters sees."""
    filters: tuple[int, ...] = tuple(SEQGAN_FILTERS.values())
    """Number of filters of each width."""
    discriminator_embedding: int = 64
    """Width of the discriminator's word embeddings."""
    discriminator_dropout: float = 0.25
    """Dropout before the discriminator's output, in [0, 1)."""
    discriminator_learning_rate: float = 1e-4
    """Adam's step size of the discriminator."""
    l2: float = 0.2
    """Weight of half the squared norm of the discriminator's output layer."""
    discriminator_rounds: int = 3
    """Times the pool is refilled before the game."""
    discriminator_refills: int = 1
    """Times the pool is refilled a round of the game."""
    discriminator_epochs: int = 1
    """Passes over the pool after each refill."""
    pool_size: int | None = 1280
    """Fakes in the pool. None: as many as there are sentences in the corpus."""
    pool_refresh: float = 1.0
    """Share of the pool that a refill replaces, the oldest first, in (0, 1]."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "embedding", "hidden", "batch_size", "rollouts", "generator_steps")
        check_at_least(1, "game", self, "discriminator_embedding", "discriminator_rounds", "discriminator_epochs")
        check_at_least(1, "game", self, "pool_size")
        check_at_least(0, "game", self, "mle_epochs", "rounds", "discriminator_refills", "l2")
        check_above_zero("game", self, "init_std", "clip", "mle_learning_rate", "learning_rate", "temperature")
        check_above_zero("game", self, "discriminator_learning_rate")
        check_share("game", self, "dropout", "rollout_rate", "discriminator_dropout")
        check_fields("game", self, "in (0, 1]", lambda share: 0 < share <= 1, "pool_refresh")
        check_fields("game", self, "numbers of at least 1", lambda n: n and min(n) >= 1, "widths", "filters")
        check_fields("game", self, "one for each of game.widths", lambda n: len(n) == len(self.widths), "filters")


TINY = Config(
    embedding=16, hidden=16, mle_epochs=1, rounds=2, rollouts=2, batch_size=32, widths=(1, 2, 3), filters=(8, 8, 8),
    discriminator_embedding=16, discriminator_rounds=1, pool_size=64,
)  # fmt: skip


class SeqGAN(Game):
    """Generator and discriminator; the generator has one optimiser for likelihood and one for policy gradient."""

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        self.batch_size = config.batch_size
        self.generator = LSTMGenerator(spec, config.embedding, config.hidden, config.dropout, config.init_std)
        self.rollout_policy = copy.deepcopy(self.generator)
        self.discriminator = TextCNN(
            spec, config.widths, config.filters, config.discriminator_embedding, config.discriminator_dropout
        )
        self.pool = Pool(config.pool_size or spec.train_size, spec.length)

    def optimizers(self) -> dict[str, Optimizer]:
        config = self.config
        return {
            "generator_mle": Adam(self.generator.parameters(), lr=config.mle_learning_rate),
            "generator": Adam(self.generator.parameters(), lr=config.learning_rate),
            "discriminator": Adam(self.discriminator.parameters(), lr=config.discriminator_learning_rate),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        epoch = math.ceil(self.spec.train_size / self.batch_size)
        passes = config.discriminator_epochs * math.ceil(self.pool.size / self.batch_size)
        likelihood = Move("generator_mle", self._likelihood, epoch, clip=config.clip)
        copy_generator = Act(self._copy_generator)
        refill = Act(self._refill)
        discriminate = Move("discriminator", self._discriminate, times=passes)
        reinforce = Move("generator", self._reinforce, config.generator_steps, after=self._follow, clip=config.clip)
        train_discriminator: list[Move | Act] = [refill, discriminate]
        return [
            Stage("pretrain_generator", config.mle_epochs, [likelihood]),
            Stage("pretrain_discriminator", config.discriminator_rounds, [copy_generator, *train_discriminator]),
            Stage("adversarial", config.rounds, [reinforce, *train_discriminator * config.discriminator_refills]),
        ]

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """``(n, T)`` token ids."""
        with evaluating(self.generator):
            return sample(self.generator, self.spec, n, temperature)

    def log_probs(self, tokens: Tensor, temperature: float = 1.0) -> Tensor:
        """Log-probability in nats of each token ``(B, T)`` given those before it; 0 at padding."""
        return self.generator.log_probs(tokens, temperature)

    def _likelihood(self, real: Tensor, turn: Turn) -> Loss:
        return Loss({"nll": -self.generator.log_probs(real).sum() / (real != self.spec.pad).sum()})

    def _reinforce(self, real: Tensor, turn: Turn) -> Loss:
        config = self.config
        tokens = self.sample(len(real), config.temperature)
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
        with evaluating(self.rollout_policy, self.discriminator):
            return rollout_rewards(
                self.rollout_policy,
                self.spec,
                tokens,
                lambda sentences, _: self.discriminator(sentences).sigmoid(),
                rollouts,
                self.config.temperature,
                shared_reward=lambda sentences, t: self.discriminator(sentences, t, rollouts).sigmoid(),
            )

    def _discriminate(self, real: Tensor, turn: Turn) -> Loss:
        real_logits = self.discriminator(real)
        fake_logits = self.discriminator(self.pool.draw(len(real)).long())
        real_loss, fake_loss = discriminator_loss(real_logits, fake_logits)
        penalty = self.config.l2 * self.discriminator.output_penalty()
        return Loss(
            {"real": real_loss / 2, "fake": fake_loss / 2, "l2": penalty},
            {"accuracy": accuracy(real_logits, fake_logits)},
        )

    def _refill(self, turn: Turn) -> None:
        share = 1.0 if self.pool.is_empty else self.config.pool_refresh
        n = math.ceil(share * self.pool.size)
        self.pool.add(self.sample(n, self.config.temperature))

    def _copy_generator(self, turn: Turn) -> None:
        self.rollout_policy.load_state_dict(self.generator.state_dict())

    def _follow(self) -> None:
        for mine, theirs in zip(self.rollout_policy.parameters(), self.generator.parameters(), strict=True):
            mine.lerp_(theirs, 1 - self.config.rollout_rate)
