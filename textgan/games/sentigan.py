"""SentiGAN: generating sentimental texts via mixture adversarial networks (Wang and Wan; IJCAI 2018).

Each of K categories has a generator G_k of its own, and one discriminator tells K + 1 classes apart: real sentences of
each category, and fakes, whoever made them. G_k is held to its *own* class: a word is fined for what keeps the
sentences that may follow it, estimated by Monte-Carlo roll-outs, from being real ones of category k::

    V_k(y_1..t) = (1/N) sum_n 1 - D_k(y_1..t, completion_n)   t < T,      V_k(y_1..T) = 1 - D_k(y_1..T)   (eq. 5)
    L_Gk = (1/B) sum_bt p_k(y_bt | y_b,<t) V_k(y_b,1..t)                                            (eqs. 3, 4)
    L_D  = -1/2 E log D_k(real of k) - 1/2 E log D_K+1(fake) + l2/2 |w_out|^2                            (eq. 2)

It is the probability p that is weighed, not log p: what is likely is fined most, so that a generator does not settle on
a few good sentences. Before the game each generator learns its category's sentences by likelihood.

Differs from the paper: the generators read no noise (words are drawn from their distribution anyway) and step together,
as one player with one RMSprop, which treats every weight alone; they share a batch, B = batch_size / K each. A D batch
holds as many real sentences, of the categories that the corpus has, as fakes, of all generators in turn. Roll-outs
follow the generators themselves. Sentences may end early. Presets: ``configs/sentigan-reviews.yaml`` (film reviews,
positive and negative) and ``configs/sentigan-questions.yaml`` (six kinds of questions); the paper's oracle and captions
have no categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, RMSprop

from textgan.data.labelled import LabelledBatch
from textgan.data.spec import LabelledSpec
from textgan.errors import check_at_least, check_fields
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.networks.generators import GeneratorConfig, text_generator
from textgan.networks.modes import evaluating
from textgan.networks.text_generator import TextGenerator
from textgan.parts.categories import categories_of, mixture_log_probs
from textgan.parts.opponent import TINY_OPPONENT, Opponent, OpponentConfig
from textgan.parts.text_game import Pretraining, TextGame, TextGameConfig
from textgan.policy_gradient import rollout_rewards
from textgan.sampling import sample


@dataclass(frozen=True)
class Config(TextGameConfig):
    """SentiGAN."""

    discriminator: OpponentConfig = OpponentConfig(widths=(1, 2, 3, 4, 5), filters=(64,) * 5, learning_rate=1e-3)
    """Its network and how it learns; its loss must be standard, here the cross-entropy of K + 1 classes."""
    generator_steps: int = 1
    """Steps of the generators a round."""
    learning_rate: float = 1e-4
    """RMSprop's step size in the game."""
    rollouts: int = 4
    """N: completions of each prefix."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every penalty is 1, a control that shows what the discriminator is worth."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "rollouts", "generator_steps")
        check_fields("game.discriminator", self.discriminator, "standard", lambda loss: loss == "standard", "loss")


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1), discriminator=TINY_OPPONENT,
    rounds=2, rollouts=2, batch_size=32,
)  # fmt: skip


class SentiGAN(TextGame):
    """A generator for each category and one discriminator."""

    config: Config

    data = "labelled"
    spec: LabelledSpec

    def __init__(self, config: Config, spec: LabelledSpec) -> None:
        Game.__init__(self)  # one generator a category
        self.config, self.spec, self.batch_size = config, spec, config.batch_size
        self.generators = nn.ModuleList(text_generator(config.generator, spec) for _ in spec.categories)
        self.opponent = Classifier(config.discriminator, spec, config.batch_size, outputs=len(spec.categories) + 1)

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            "generator_mle": Adam(self.generators.parameters(), lr=self.config.pretraining.learning_rate),
            "generator": RMSprop(self.generators.parameters(), lr=self.config.learning_rate),
            **self.opponent.optimizer(),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        evade = Move("generator", self._evade, config.generator_steps, clip=config.clip)
        return [
            self.pretrain_generator(config.pretraining),
            self.opponent.pretrain(self.sample),
            Stage("adversarial", config.rounds, [evade, *self.opponent.moves(self.sample)]),
        ]

    def sample(self, n: int, temperature: float = 1.0, category: int | None = None) -> Tensor:
        """``(n, T)`` token ids, of one category or of each in turn."""
        wanted = categories_of(n, len(self.generators), category, next(self.parameters()).device)
        tokens = wanted.new_empty(n, self.spec.length)
        with evaluating(self.generators):
            for k, generator in self._of_categories():
                rows = (wanted == k).nonzero().squeeze(1)
                if len(rows):
                    tokens[rows] = sample(generator, self.spec, len(rows), temperature)
        return tokens

    def log_probs(self, tokens: Tensor, temperature: float = 1.0) -> Tensor:
        """Log-probability in nats of each token ``(B, T)`` under all generators together (see `mixture_log_probs`)."""
        return mixture_log_probs(torch.stack([g.log_probs(tokens, temperature) for _, g in self._of_categories()]))

    def describe(self, folder: Path) -> None:
        """Write what the generators' networks, which are alike, need."""
        self._generator(0).describe(folder)

    def likelihood(self, real: LabelledBatch, turn: Turn) -> Loss:
        """Cross-entropy of real sentences under the generators of their categories, in nats per token."""
        mine = [(g, real.tokens[real.category == k]) for k, g in self._of_categories()]
        log_p = torch.stack([generator.log_probs(tokens).sum() for generator, tokens in mine if len(tokens)]).sum()
        return Loss({"nll": -log_p / (real.tokens != self.spec.pad).sum()})

    def _evade(self, real: LabelledBatch, turn: Turn) -> Loss:
        n = -(-len(real.tokens) // len(self.generators))
        terms, info = {}, {}
        for k, generator in self._of_categories():
            name = self.spec.categories[k]
            tokens = self.sample(n, category=k)
            mask = tokens != self.spec.pad
            penalties = self._penalties(tokens, k)
            with evaluating(generator):
                p = generator.log_probs(tokens).exp()
            terms[f"penalty {name}"] = (p * penalties * mask).sum() / n
            info[f"reward {name}"] = 1 - penalties.sum() / mask.sum()
        return Loss(terms, info)

    def _penalties(self, tokens: Tensor, k: int) -> Tensor:
        """V_k of every word ``(n, T)``; 0 at padding."""
        mask = tokens != self.spec.pad
        if self.config.reward == "constant":
            return mask.float()
        rollouts, generator = self.config.rollouts, self._generator(k)
        with evaluating(generator):
            worth = rollout_rewards(
                generator,
                self.spec,
                tokens,
                lambda sentences, _: self.opponent.probability(sentences, k),
                rollouts,
                shared_reward=lambda sentences, t: self.opponent.probability(sentences, k, t, rollouts),
            )
        return (1 - worth) * mask

    def _of_categories(self) -> list[tuple[int, TextGenerator]]:
        return [(k, self._generator(k)) for k in range(len(self.generators))]

    def _generator(self, k: int) -> TextGenerator:
        generator = self.generators[k]
        assert isinstance(generator, TextGenerator)
        return generator


class Classifier(Opponent):
    """K + 1 classes: real sentences of each category, and fakes, the last."""

    def probability(self, sentences: Tensor, category: int, shared: int = 0, copies: int = 1) -> Tensor:
        """That each of ``(n, T)`` is a real one of the category, without gradient and with dropout off."""
        with evaluating(self.network), torch.no_grad():
            return self.network(sentences, shared, copies).float().softmax(1)[:, category]

    def loss(self, real: LabelledBatch, turn: Turn) -> Loss:
        """Cross-entropy in nats of real sentences and of as many fakes of the pool, each weighed by 1/2."""
        of_real = self.network(real.tokens)
        of_fake = self.network(self.pool.draw(len(real.tokens)).long())
        fake = torch.full_like(real.category, of_fake.shape[1] - 1)
        right = (of_real.argmax(1) == real.category).float().mean() + (of_fake.argmax(1) == fake).float().mean()
        return Loss(
            {
                "real": F.cross_entropy(of_real, real.category) / 2,
                "fake": F.cross_entropy(of_fake, fake) / 2,
                "l2": self.config.l2 * self.network.output_penalty(),
            },
            {"accuracy": right / 2},
        )
