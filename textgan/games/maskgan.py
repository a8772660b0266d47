"""MaskGAN: better text generation via filling in the blanks (Fedus, Goodfellow, Dai; ICLR 2018; arXiv 1801.07736).

Half of a real sentence x is masked; the generator sees the rest, m(x), and draws the masked tokens from left to right.
The discriminator judges every token given the whole filling x~ and m(x), so that credit is given token by token, and a
critic says how much was to be expected (eqs. 3 to 7)::

    r_t = log(2 D(x~_t | x~, m(x))) at masked tokens, else 0     R_t = sum_{s >= t} gamma^(s - t) r_s
    L_G = -(1/B) sum_bt (R_bt - V(x~_1..t-1, m(x))) log p(x~_t | x~_1..t-1, m(x))       over masked tokens
    L_D = -E log D(real token) - E log(1 - D(filled-in token))                          means over masked tokens
    L_V = E (V - R)^2                                                                   mean over masked tokens

V does not know x~_t, or the gradient would be biased. Dropout drops the same units at all places.

`sample` is the paper's unconditional mode: all tokens are masked. A share of the training sentences (``whole``) is
masked wholly as well, or the generator would never have met what it is asked then; its density is that mode's.

Differs from the paper: a reward is log 2 D and not log D, as a sentence may end early here: if every further token cost
something, the generator would learn to write none (it did: 14 tokens became 5 within a hundred steps). Where the length
is fixed, as in the paper, this only shifts what the critic has to learn. Before the game the generator learns to fill
in by likelihood, without a language model before that; what the encoder knows at t is read at t, where the paper
attends to all places; D is one bidirectional LSTM over tokens and mask in place of an encoder and a decoder; the critic
is a network and not a second head of D; the masked share is constant and does not grow. An end mark may be masked like
any token; it is not drawn before a token that is seen. The generator, a network that fills in, is of one kind, and D's
loss is cross-entropy, whose probability the reward is. ``configs/maskgan-oracle.yaml`` and
``configs/maskgan-captions.yaml`` are presets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.errors import check_above_zero, check_at_least, check_fields, check_share
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.losses import accuracy, discriminator_loss
from textgan.networks.infilling import Infiller, Masking, PrefixCritic, TokenJudge, choose_masked
from textgan.networks.modes import evaluating
from textgan.parts.text_game import Pretraining
from textgan.policy_gradient import advantages, reinforce_loss, rewards_to_go
from textgan.sampling import sample


@dataclass(frozen=True)
class Config:
    """MaskGAN."""

    embedding: int = 64
    """Width of the word embeddings, in all three networks."""
    hidden: int = 128
    """Units of their LSTMs."""
    dropout: float = 0.2
    """Dropout of the generator while it learns by likelihood and of the discriminator while it learns, in [0, 1)."""
    masking: Masking = "contiguous"
    """contiguous: a block of neighbours is masked. random: each token for itself."""
    masked: float = 0.5
    """Share of a sentence's tokens that is masked, in (0, 1]."""
    whole: float = 0.25
    """Share of the sentences that are masked wholly, in [0, 1]. The paper: 0."""
    pretraining: Pretraining = Pretraining()
    """Filling in by maximum likelihood before the game."""
    batch_size: int = 64
    """Sentences a step, of real ones and of filled-in ones."""
    rounds: int = 150
    """Adversarial rounds: as many steps of each player."""
    learning_rate: float = 3e-4
    """Adam's step size of the generator."""
    discriminator_learning_rate: float = 5e-4
    """Adam's step size of the discriminator."""
    critic_learning_rate: float = 1e-3
    """Adam's step size of the critic."""
    clip: float = 5.0
    """Largest norm of any player's gradient in the game."""
    discount: float = 0.89
    """gamma, in [0, 1]."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every masked token's reward is 1, a control that shows what the discriminator is worth."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "embedding", "hidden", "batch_size")
        check_at_least(0, "game", self, "rounds")
        check_share("game", self, "dropout")
        check_fields("game", self, "in (0, 1]", lambda share: 0 < share <= 1, "masked")
        check_fields("game", self, "in [0, 1]", lambda share: 0 <= share <= 1, "whole", "discount")
        check_above_zero("game", self, "learning_rate", "discriminator_learning_rate", "critic_learning_rate", "clip")


TINY = Config(embedding=16, hidden=16, pretraining=Pretraining(epochs=1), rounds=3, batch_size=32)


class MaskGAN(Game):
    """Generator, discriminator and critic; the generator has one optimiser for likelihood and one for the game."""

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        self.batch_size = config.batch_size
        self.generator = Infiller(spec, config.embedding, config.hidden, config.dropout)
        self.discriminator = TokenJudge(spec, config.embedding, config.hidden, config.dropout)
        self.critic = PrefixCritic(spec, config.embedding, config.hidden)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """``(n, T)`` token ids, with all tokens masked."""
        with evaluating(self.generator), torch.no_grad():
            return sample(self.generator.blank(), self.spec, n, temperature)

    def log_probs(self, tokens: Tensor, temperature: float = 1.0) -> Tensor:
        """Log-probability in nats of each token ``(B, T)`` given those before it, all masked; 0 at padding."""
        return self.generator.blank().log_probs(tokens, temperature)

    def optimizers(self) -> dict[str, Optimizer]:
        config = self.config
        return {
            "generator_mle": Adam(self.generator.parameters(), lr=config.pretraining.learning_rate),
            "generator": Adam(self.generator.parameters(), lr=config.learning_rate),
            "discriminator": Adam(self.discriminator.parameters(), lr=config.discriminator_learning_rate),
            "critic": Adam(self.critic.parameters(), lr=config.critic_learning_rate),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        epoch = math.ceil(self.spec.train_size / config.batch_size)
        fill_in = Move("generator_mle", self._likelihood, epoch, clip=config.pretraining.clip)
        moves = {"discriminator": self._discriminate, "critic": self._expect, "generator": self._reinforce}
        return [
            Stage("pretrain_generator", config.pretraining.epochs, [fill_in]),
            Stage("adversarial", config.rounds, [Move(name, loss, clip=config.clip) for name, loss in moves.items()]),
        ]

    def _likelihood(self, real: Tensor, turn: Turn) -> Loss:
        masked = self._mask(real)
        log_probs = self.generator.given(real, masked).log_probs(real)
        counted = self._counted(real, masked)
        return Loss({"nll": -(log_probs * counted).sum() / counted.sum().clamp(min=1)})

    def _discriminate(self, real: Tensor, turn: Turn) -> Loss:
        masked = self._mask(real)
        filled = self._filled(real, masked)
        scores = [self.discriminator(x, masked)[self._counted(x, masked)] for x in (real, filled)]
        on_real, on_fake = discriminator_loss(*scores)
        return Loss({"real": on_real, "fake": on_fake}, {"accuracy": accuracy(*scores)})

    def _expect(self, real: Tensor, turn: Turn) -> Loss:
        masked = self._mask(real)
        filled = self._filled(real, masked)
        counted = self._counted(filled, masked)
        off = self.critic(filled, masked) - self._worth(filled, masked)
        return Loss({"value": (off.square() * counted).sum() / counted.sum().clamp(min=1)})

    def _reinforce(self, real: Tensor, turn: Turn) -> Loss:
        masked = self._mask(real)
        filled = self._filled(real, masked)
        counted, worth = self._counted(filled, masked), self._worth(filled, masked)
        with torch.no_grad():
            expected = self.critic(filled, masked)
        above = advantages(worth, counted, expected, normalize=False)
        with evaluating(self.generator):  # the policy that drew the words, not a thinned one
            log_probs = self.generator.given(real, masked).log_probs(filled)
        mean = self._rewards(filled, masked).sum() / counted.sum().clamp(min=1)
        return Loss({"policy_gradient": reinforce_loss(log_probs, above, counted)}, {"reward": mean})

    def _mask(self, real: Tensor) -> Tensor:
        return choose_masked(real, self.spec, self.config.masking, self.config.masked, self.config.whole)

    def _filled(self, real: Tensor, masked: Tensor) -> Tensor:
        with evaluating(self.generator):
            return self.generator.fill(real, masked)

    def _counted(self, tokens: Tensor, masked: Tensor) -> Tensor:
        return masked & (tokens != self.spec.pad)

    def _worth(self, filled: Tensor, masked: Tensor) -> Tensor:
        return rewards_to_go(self._rewards(filled, masked), filled != self.spec.pad, self.config.discount)

    @torch.no_grad()
    def _rewards(self, filled: Tensor, masked: Tensor) -> Tensor:
        counted = self._counted(filled, masked)
        if self.config.reward == "constant":
            return counted.float()
        with evaluating(self.discriminator):
            return (F.logsigmoid(self.discriminator(filled, masked).float()) + math.log(2)) * counted
