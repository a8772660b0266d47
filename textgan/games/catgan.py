"""CatGAN: category-aware GANs with hierarchical evolutionary learning (Liu, Wang, Liang; AAAI 2020; arXiv 1911.06641).

RelGAN's game, played category by category: the generator, a relational memory, reads a one-hot category beside every
word and writes relaxed words, softmax(beta (logits + Gumbel noise)), of which it reads the likeliest on; the
discriminator's votes on real and on generated sentences are compared within a category only::

    L_D = mean_k objective_D(D(real of k), D(fakes of k)),    L_child = mean_k mutation(D(real of k), D(fakes of k))

The generator evolves. Each round, children begin with its weights, and each makes steps of its own: one for every
objective of `mutations` at every temperature, those of the schedule beta_max^progress so many rounds ahead or behind
(`shifts`). The fittest becomes the generator::

    fitness = E s(D(fake) - E D(real)) + diversity NLL(own samples)        s = sigmoid; expectations within a category

the quality of the relativistic average and the cross-entropy in nats per token of what it writes, under itself.

Differs from the paper: D has a score for each category, of which a sentence's own is read (`categories_in_votes`),
since a D that knows no categories does not mind one category's sentences written for another; off: the paper. All
children compete at once, in place of temperatures within an objective and objectives after that. A child keeps Adam's
moments of its own, which do not follow the fittest. A batch has sentences of all categories as the corpus has them,
and as many fakes of each. Presets: ``configs/catgan-reviews.yaml`` and ``configs/catgan-questions.yaml``; captions and
the oracle have no categories.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from textgan.data.labelled import LabelledBatch
from textgan.data.spec import LabelledSpec
from textgan.errors import check_at_least, check_fields
from textgan.game import Act, Loss, Move, Stage, Turn
from textgan.losses import OBJECTIVES, ObjectiveName, accuracy
from textgan.networks.generators import GeneratorConfig, text_generator
from textgan.networks.modes import evaluating
from textgan.networks.text_generator import TextGenerator
from textgan.parts.categories import categories_of, conditions, mixture_log_probs
from textgan.parts.pools import Pool
from textgan.parts.relaxed_opponent import PLAYER, RelaxedOpponent, RelaxedOpponentConfig
from textgan.parts.text_game import Pretraining, TextGame, TextGameConfig
from textgan.relaxation import Relaxed, relaxed_sample
from textgan.sampling import sample


@dataclass(frozen=True)
class Config(TextGameConfig):
    """CatGAN."""

    generator: GeneratorConfig = GeneratorConfig("relational", embedding=32, hidden=128, heads=2, slots=1, dropout=0.0)
    """Its network."""
    pretraining: Pretraining = Pretraining(epochs=4)
    """Maximum likelihood before the game."""
    discriminator: RelaxedOpponentConfig = RelaxedOpponentConfig(
        "multi", embedding=16, representations=16, widths=(2, 3, 4, 5), filters=(50, 50, 50, 50),
        loss="relativistic_average", learning_rate=1e-4, steps=3,
    )  # fmt: skip
    """Its network, its loss and how it learns."""
    categories_in_votes: bool = True
    """The discriminator has a score for each category. False: one for all, as the paper's."""
    rounds: int = 30
    """Adversarial rounds."""
    child_steps: int = 1
    """Steps of each child a round."""
    mutations: tuple[ObjectiveName, ...] = ("relativistic_average", "relativistic")
    """Objectives, one child for each at each of the temperatures."""
    shifts: tuple[int, ...] = (0, 1)
    """Temperatures, in rounds of the schedule ahead of the present one (below 0: behind it)."""
    learning_rate: float = 1e-4
    """Adam's step size of a child."""
    beta: float = 100.0
    """beta_max: the inverse temperature that the game ends with, at least 1."""
    diversity: float = 0.001
    """Weight of diversity in the fitness."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "beta", "child_steps")
        check_at_least(0, "game", self, "diversity")
        check_fields("game", self, "at least one", lambda found: len(found) > 0, "mutations", "shifts")


TINY = Config(
    generator=GeneratorConfig("relational", embedding=16, hidden=16, heads=2), pretraining=Pretraining(epochs=1),
    discriminator=RelaxedOpponentConfig(
        "multi", embedding=8, representations=4, widths=(2, 3), filters=(8, 8), loss="relativistic_average", steps=1
    ),
    rounds=2, batch_size=32, beta=10.0, shifts=(1,),
)  # fmt: skip


class CatGAN(TextGame):
    """The generator, its children, each a player, and the discriminator."""

    config: Config

    data = "labelled"
    spec: LabelledSpec

    def __init__(self, config: Config, spec: LabelledSpec) -> None:
        super().__init__(config, spec, text_generator(config.generator, spec, condition=len(spec.categories)))
        self.count = len(spec.categories)
        self.kinds = list(product(config.mutations, config.shifts))
        self.population = nn.ModuleList(copy.deepcopy(self.generator) for _ in self.kinds)
        votes = self.count if config.categories_in_votes else 1
        self.opponent = RelaxedOpponent(config.discriminator, spec, outputs=votes)
        self.seen = Pool(config.batch_size, spec.length + 1)  # the last real sentences and categories, for the fitness

    def optimizers(self) -> dict[str, Optimizer]:
        rate = self.config.learning_rate
        return {
            **self.pretraining_optimizer(self.config.pretraining),
            **{f"child_{i}": Adam(child.parameters(), lr=rate) for i, child in enumerate(self.population)},
            **self.opponent.optimizer(),
        }

    def stages(self) -> Sequence[Stage]:
        config, opponent = self.config, self.config.discriminator
        grow = [self._growth(i) for i in range(len(self.kinds))]
        discriminate = Move(PLAYER, self._discriminate, opponent.steps, clip=opponent.clip)
        return [
            self.pretrain_generator(config.pretraining),
            Stage("adversarial", config.rounds, [Act(self._bear), *grow, Act(self._select), discriminate]),
        ]

    def sample(self, n: int, temperature: float = 1.0, category: int | None = None) -> Tensor:
        """``(n, T)`` token ids, of one category or of each in turn."""
        wanted = categories_of(n, self.count, category, next(self.parameters()).device)
        with evaluating(self.generator):
            return sample(self.generator.given(conditions(wanted, self.count)), self.spec, n, temperature)

    def log_probs(self, tokens: Tensor, temperature: float = 1.0) -> Tensor:
        """Log-probability in nats of each token ``(B, T)``, its category not told (see `mixture_log_probs`)."""
        wanted = [torch.full_like(tokens[:, 0], k) for k in range(self.count)]
        of_each = [self.generator.log_probs(tokens, temperature, conditions(k, self.count)) for k in wanted]
        return mixture_log_probs(torch.stack(of_each))

    def likelihood(self, real: LabelledBatch, turn: Turn) -> Loss:
        """Cross-entropy of real sentences given their categories, in nats per token."""
        log_probs = self.generator.log_probs(real.tokens, condition=conditions(real.category, self.count))
        return Loss({"nll": -log_probs.sum() / (real.tokens != self.spec.pad).sum()})

    def _bear(self, turn: Turn) -> None:
        for child in self.population:
            child.load_state_dict(self.generator.state_dict())

    def _growth(self, i: int) -> Move:
        """The steps of child i, whose loss is a mean over categories and votes."""
        mutation, shift = self.kinds[i]

        def deceive(real: LabelledBatch, turn: Turn) -> Loss:
            self.seen.add(torch.cat([real.tokens, real.category[:, None]], 1))
            with evaluating(self.opponent.network):
                pairs = self._votes(real, self._fakes(self._child(i), real.category, turn, shift))
            losses = [OBJECTIVES[mutation].generator(*pair) for pair in pairs]
            return Loss({"adversarial": torch.stack(losses).mean()})

        return Move(f"child_{i}", deceive, self.config.child_steps, clip=self.config.clip)

    def _select(self, turn: Turn) -> None:
        fitness = torch.stack([self._fitness(i, turn) for i in range(len(self.kinds))])
        self.generator.load_state_dict(self._child(int(fitness.argmax())).state_dict())

    def _fitness(self, i: int, turn: Turn) -> Tensor:
        """Quality and weighted diversity of child i, on as many samples as there are real sentences beside them."""
        child, rows = self._child(i), self.seen.items.long()
        real = LabelledBatch(rows[:, :-1], rows[:, -1])
        with evaluating(self.opponent.network, child):
            fake = self._fakes(child, real.category, turn, self.kinds[i][1])
            pairs = self._votes(real, fake)
            log_probs = child.log_probs(fake.tokens, condition=conditions(real.category, self.count))
        quality = torch.stack([(of_fake - of_real.mean(0)).sigmoid().mean() for of_real, of_fake in pairs]).mean()
        return quality - self.config.diversity * log_probs.sum() / (fake.tokens != self.spec.pad).sum()

    def _discriminate(self, real: LabelledBatch, turn: Turn) -> Loss:
        with torch.no_grad():
            fake = self._fakes(self.generator, real.category, turn)
        pairs = self._votes(real, fake)
        halves = [OBJECTIVES[self.config.discriminator.loss].discriminator(*pair) for pair in pairs]
        on_real, on_fake = (torch.stack(half).mean() for half in zip(*halves, strict=True))
        right = torch.stack([accuracy(*pair) for pair in pairs]).mean()
        return Loss({"real": on_real, "fake": on_fake}, {"accuracy": right})

    def _fakes(self, generator: TextGenerator, category: Tensor, turn: Turn, shift: int = 0) -> Relaxed:
        progress = min(max(turn.progress + shift / self.config.rounds, 0.0), 1.0)
        policy = generator.given(conditions(category, self.count))
        with evaluating(generator):
            return relaxed_sample(policy, self.spec, len(category), self.config.beta**-progress, "hard")

    def _votes(self, real: LabelledBatch, fake: Relaxed) -> list[tuple[Tensor, Tensor]]:
        """Votes ``(n, votes)`` on real sentences and on as many fakes of each category that there are any of."""
        network, category = self.opponent.network, real.category
        of_fakes = network.features_relaxed(fake.words, fake.lengths(self.spec))
        found = []
        for features in (network.features(real.tokens), of_fakes):
            votes = network.votes(features).unflatten(1, (-1, network.output.out_features))
            own = category if self.config.categories_in_votes else torch.zeros_like(category)
            found.append(votes.gather(2, own[:, None, None].expand(-1, votes.shape[1], 1)).squeeze(2))
        return [(found[0][category == k], found[1][category == k]) for k in category.unique().tolist()]

    def _child(self, i: int) -> TextGenerator:
        child = self.population[i]
        assert isinstance(child, TextGenerator)
        return child
