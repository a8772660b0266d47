"""The spammer and the filter: a game of our own, after adversarial classification (Dalvi et al.; KDD 2004).

Messages have categories, one of which is guarded: ham. The spammer is a generator under a condition, the category, and
writes messages of the other categories; the filter lets those messages pass that it takes for real ones of the guarded
category. It must stop spam, real and generated, and must not stop ham::

    L_filter  = (guard C(real ham, pass) + C(real spam, stop) + C(generated spam, stop)) / (guard + 2) + l2/2 |w_out|^2
    L_spammer = -1/B sum_b (P(pass | y_b) - baseline) log p(y_b | c_b) - likelihood/B sum_b log p(real_b | c_b)

where C is the mean cross-entropy over the messages of that kind, y is drawn, c is its category, each but ham in turn,
and the baseline is the mean of the other messages. The spammer's second term keeps it to what spam says: without it, it
would soon write ham, which passes, and is no spam.

What the filter does with each of the three kinds is its confusion matrix: the share that it stops, the others passing,
is logged as ``stopped/...`` at each of its steps, and the report draws it over time.

Differs from the paper: there, the classifier and its adversary play on the features of a naive Bayes filter, one move
each; here both are networks that learn in turn. The shares are those of messages that the filter learns from, not of
held-out ones, with dropout off. ``configs/spam_filter-sms.yaml`` is a preset for text messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.labelled import LabelledBatch
from textgan.data.spec import LabelledSpec
from textgan.errors import UserError, check_above_zero, check_at_least, check_fields
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.generators import GeneratorConfig, text_generator
from textgan.networks.modes import evaluating
from textgan.parts.categories import categories_of, conditions, mixture_log_probs
from textgan.parts.opponent import TINY_OPPONENT, Opponent, OpponentConfig
from textgan.parts.text_game import Pretraining, TextGame, TextGameConfig
from textgan.policy_gradient import advantages, reinforce_loss
from textgan.sampling import sample

USUAL = "ham"
"""Guarded where it is a category and nothing else is said."""


@dataclass(frozen=True)
class Config(TextGameConfig):
    """The spammer and the filter."""

    discriminator: OpponentConfig = OpponentConfig(learning_rate=3e-4, l2=0.01)
    """The filter's network, and how it learns; its loss must be standard."""
    guarded: str | None = None
    """The category that the filter lets pass. None: ham, or the first one where there is none of that name."""
    guard: float = 2.0
    """What it costs to stop a real message of the guarded category, where to let another one pass costs 1."""
    rounds: int = 20
    """Rounds of the game."""
    generator_steps: int = 10
    """The spammer's steps a round."""
    learning_rate: float = 3e-4
    """Adam's step size of the spammer in the game."""
    likelihood: float = 0.1
    """Weight of the likelihood of real messages while the spammer plays."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every reward is 1, a control that shows what the filter is worth to the spammer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "generator_steps")
        check_at_least(0, "game", self, "likelihood")
        check_above_zero("game", self, "guard")
        check_fields("game.discriminator", self.discriminator, "standard", lambda loss: loss == "standard", "loss")


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1), discriminator=TINY_OPPONENT,
    batch_size=32, rounds=2, generator_steps=2,
)  # fmt: skip


class SpamFilter(TextGame):
    """The spammer, player ``generator``, and the filter, player ``discriminator``."""

    config: Config

    data = "labelled"
    spec: LabelledSpec

    def __init__(self, config: Config, spec: LabelledSpec) -> None:
        super().__init__(config, spec, text_generator(config.generator, spec, condition=len(spec.categories)))
        self.guarded = guarded_category(config.guarded, spec.categories)
        self.opponent = Filter(config.discriminator, spec, config.batch_size, self.guarded, config.guard)

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            **self.pretraining_optimizer(self.config.pretraining),
            "generator": Adam(self.generator.parameters(), lr=self.config.learning_rate),
            **self.opponent.optimizer(),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        evade = Move("generator", self._evade, config.generator_steps, clip=config.clip)
        return [
            self.pretrain_generator(config.pretraining),
            self.opponent.pretrain(self._spam),
            Stage("adversarial", config.rounds, [evade, *self.opponent.moves(self._spam)]),
        ]

    def sample(self, n: int, temperature: float = 1.0, category: int | None = None) -> Tensor:
        """``(n, T)`` token ids, of one category or of each in turn; the guarded one is among them."""
        device = next(self.parameters()).device
        return self._write(categories_of(n, len(self.spec.categories), category, device), temperature)

    def log_probs(self, tokens: Tensor, temperature: float = 1.0) -> Tensor:
        """Log-probability in nats of each token ``(B, T)`` under all categories together (see `mixture_log_probs`)."""
        of_each = [
            self.generator.log_probs(tokens, temperature, self._condition(torch.full_like(tokens[:, 0], k)))
            for k in range(len(self.spec.categories))
        ]
        return mixture_log_probs(torch.stack(of_each))

    def likelihood(self, real: LabelledBatch, turn: Turn) -> Loss:
        """Cross-entropy of real messages given their categories, in nats per token."""
        log_probs = self.generator.log_probs(real.tokens, condition=self._condition(real.category))
        return Loss({"nll": -log_probs.sum() / (real.tokens != self.spec.pad).sum()})

    def _evade(self, real: LabelledBatch, turn: Turn) -> Loss:
        n = len(real.tokens)
        wanted = self._wanted(n)
        tokens = self._write(wanted)
        mask = tokens != self.spec.pad
        reward = torch.ones(n, device=tokens.device)
        if self.config.reward == "discriminator":
            reward = self.opponent.reward(tokens)
        with evaluating(self.generator):
            log_probs = self.generator.log_probs(tokens, condition=self._condition(wanted))
        worth = advantages(reward[:, None] * mask, mask, "batch", False)
        terms = {"policy_gradient": reinforce_loss(log_probs, worth, mask)}
        if self.config.likelihood:
            of_real = self.generator.log_probs(real.tokens, condition=self._condition(real.category))
            terms["likelihood"] = -self.config.likelihood * of_real.sum() / n
        return Loss(terms, {"reward": reward.mean()})

    def _spam(self, n: int) -> Tensor:
        return self._write(self._wanted(n))

    def _wanted(self, n: int) -> Tensor:
        """The categories of `n` messages: each but the guarded one in turn."""
        others = categories_of(n, len(self.spec.categories) - 1, None, next(self.parameters()).device)
        return others + (others >= self.guarded)

    def _write(self, wanted: Tensor, temperature: float = 1.0) -> Tensor:
        with evaluating(self.generator):
            return sample(self.generator.given(self._condition(wanted)), self.spec, len(wanted), temperature)

    def _condition(self, category: Tensor) -> Tensor:
        return conditions(category, len(self.spec.categories))


class Filter(Opponent):
    """Its score is the logit of "let it pass"; it learns from real messages and from its pool of generated ones."""

    def __init__(self, config: OpponentConfig, spec: LabelledSpec, batch_size: int, guarded: int, guard: float) -> None:
        super().__init__(config, spec, batch_size)
        self.guarded, self.guard = guarded, guard
        names = [name for k, name in enumerate(spec.categories) if k != guarded]
        spam = names[0] if len(names) == 1 else "others"
        self.kinds = (f"real {spec.categories[guarded]}", f"real {spam}", f"generated {spam}")

    def loss(self, real: LabelledBatch, turn: Turn) -> Loss:
        """The mean cross-entropies in nats of the three kinds, weighed; the share of each kind that it stops."""
        tokens = torch.cat([real.tokens, self.pool.draw(len(real.tokens)).long()])
        generated = torch.arange(len(tokens), device=tokens.device) >= len(real.tokens)
        ham = F.pad(real.category == self.guarded, (0, len(real.tokens)))
        with evaluating(self.network), torch.no_grad():
            stopped = self.network(tokens) < 0
        costs = F.binary_cross_entropy_with_logits(self.network(tokens).float(), ham.float(), reduction="none")
        terms, info = {}, {}
        of_kinds = (ham, ~ham & ~generated, generated)
        for name, kind, weight in zip(self.kinds, of_kinds, (self.guard, 1.0, 1.0), strict=True):
            terms[name] = weight / (self.guard + 2) * (costs * kind).sum() / kind.sum().clamp(min=1)
            if kind.any():  # a share of nothing is none
                info[f"stopped/{name}"] = stopped[kind].float().mean()
        return Loss({**terms, "l2": self.config.l2 * self.network.output_penalty()}, info)


def guarded_category(name: str | None, categories: Sequence[str]) -> int:
    """The place of the guarded category. Raises UserError where there is none of that name."""
    if name is None:
        return categories.index(USUAL) if USUAL in categories else 0
    if name not in categories:
        raise UserError(f"game.guarded is {name!r}; it must be one of the categories: {', '.join(categories)}")
    return categories.index(name)
