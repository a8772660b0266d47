"""IRGAN: a minimax game for information retrieval (Wang et al., 2017).

A query q is an image, its documents d are other images, and one is relevant where it is of the query's category. The
generator draws documents for a query, the discriminator tells pairs that were drawn from relevant ones::

    p(d | q) = softmax over d of g(q, d)        D(d | q) = s(f(q, d))
    L_D = -E_{relevant d} log D(d | q) - E_{d ~ p} log(1 - D(d | q))
    L_G = -E_{d ~ p} (r_d - sum_d' p(d' | q) r_d') log p(d | q),   r_d = log(1 + exp f(q, d))

with cosines of embeddings, divided by a temperature, for g and f; r is the paper's reward, held fixed like its
baseline. Before the game the generator learns by likelihood from the pairs of a few images whose category is known, the
first `observed` of each that come by, and the discriminator learns alone. In the game documents are those of a batch,
and so are the relevant pairs that the discriminator sees. The generator is not told any category of it.

It makes no new images: it retrieves, for an observed image of a category, one of the last `documents` that came by.

Differs from the paper: its data are texts, films and answers, here labelled images; the baseline is the exact mean of
the reward, by all documents of the batch, in place of an estimate; the generator is not drawn by importance sampling.
The pre-training sees fewer pairs than the game; ``relevant: observed`` shows both the same few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.errors import UserError, check_above_zero, check_at_least
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_matching import ImageMatcher, same_images
from textgan.networks.modes import evaluating
from textgan.parts.categories import categories_of
from textgan.parts.labelled_pool import LabelledPool
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.pools import Pool
from textgan.parts.retrieval import mean_over, precision_at, relevant_pairs

NEVER = -1e9
"""The score of a query's own image among its documents."""


@dataclass(frozen=True)
class Config:
    """IRGAN."""

    batch_size: int = 64
    """Images of a step: as many queries, each with all others as documents."""
    observed: int = 3
    """Images of each category whose category is known before the game, at least 2."""
    pretraining: int = 100
    """Steps of the generator by likelihood, and then as many of the discriminator, before the game."""
    rounds: int = 300
    """Rounds of the game; each has one step of the generator."""
    discriminator_steps: int = 3
    """Steps of the discriminator a round."""
    relevant: Literal["batch", "observed"] = "batch"
    """Whose relevant pairs the discriminator sees: those of a batch, or of the observed images alone."""
    draws: int = 5
    """Documents that are drawn for a query, in either one's step."""
    embedding: int = 32
    """Numbers of an image's embedding."""
    temperature: float = 0.2
    """Cosines are divided by it."""
    documents: int = 512
    """Images that are retrieved from when the game is sampled, at least a batch: the last that came by."""
    k: int = 5
    """Of precision at k, which is logged."""
    generator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(width=16))
    """The network of the generator's embeddings."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(width=16))
    """The network of the discriminator's."""
    pretraining_rate: float = 1e-3
    """Adam's step size by likelihood."""
    optimizers: OptimizersConfig = field(
        default_factory=lambda: OptimizersConfig(generator=3e-4, discriminator=1e-3, beta1=0.9)
    )
    """How both sides learn in the game."""

    def __post_init__(self) -> None:
        check_at_least(2, "game", self, "batch_size", "observed")
        check_at_least(1, "game", self, "rounds", "discriminator_steps", "draws", "embedding", "k")
        check_at_least(0, "game", self, "pretraining")
        check_above_zero("game", self, "temperature", "pretraining_rate")
        if self.documents < self.batch_size:
            raise UserError(f"game.documents is {self.documents}; it must be at least game.batch_size")


TINY = Config(
    batch_size=16,
    observed=2,
    pretraining=2,
    rounds=2,
    discriminator_steps=2,
    draws=2,
    embedding=8,
    documents=32,
    k=2,
    generator=ImageDiscriminatorConfig(width=4),
    discriminator=ImageDiscriminatorConfig(width=4),
)


class IRGAN(Game):
    """A generator that retrieves and a discriminator that judges what is retrieved."""

    data: ClassVar[str] = "labelled_images"

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config, self.spec, self.batch_size = config, spec, config.batch_size
        size, temperature = config.embedding, config.temperature
        self.generator = ImageMatcher(config.generator, spec, size, temperature)
        self.discriminator = ImageMatcher(config.discriminator, spec, size, temperature, level=True)
        self.observed = LabelledPool(config.observed, spec)
        self.documents = Pool(config.documents, *spec.shape, dtype=torch.float32)

    def optimizers(self) -> dict[str, Optimizer]:
        made = self.config.optimizers
        return {
            "generator_mle": Adam(self.generator.parameters(), lr=self.config.pretraining_rate),
            "discriminator": made.of_discriminator(self.discriminator),
            "generator": made.of_generator(self.generator),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        judge = Move("discriminator", self.discriminator_loss, config.discriminator_steps)
        return [
            Stage("pretrain_generator", config.pretraining, [Move("generator_mle", self.likelihood)]),
            Stage("pretrain_discriminator", config.pretraining, [Move("discriminator", self.discriminator_loss)]),
            Stage("adversarial", config.rounds, [judge, Move("generator", self.generator_loss)]),
        ]

    def log_retrieval(self, queries: Tensor, documents: Tensor) -> Float[Tensor, "queries documents"]:
        """log p(d | q), in nats. An image is no document of itself."""
        scores = self.generator(queries, documents)
        return scores.masked_fill(same_images(queries, documents), NEVER).log_softmax(1)

    def likelihood(self, real: LabelledImages, turn: Turn) -> Loss:
        """``-E log p(d | q)`` over the relevant pairs of observed images; its info is of the batch."""
        self._meet(real)
        known = self.observed.some(len(real.image))
        relevant = relevant_pairs(known)
        log_probs = self.log_retrieval(known.image, known.image)
        found = (log_probs * relevant).sum(1) / relevant.sum(1).clamp(min=1)
        return Loss({"nll": -mean_over(relevant.any(1), found[:, None])}, self._precisions(real))

    def discriminator_loss(self, real: LabelledImages, turn: Turn) -> Loss:
        """Cross-entropy of pairs, as many relevant ones as drawn ones for every query that has a relevant document."""
        self._meet(real)
        shown = real if self.config.relevant == "batch" else self.observed.some(len(real.image))
        relevant = relevant_pairs(shown)
        has_any = relevant.any(1)
        wanted = torch.multinomial((relevant | ~has_any[:, None]).float(), self.config.draws, replacement=True)
        with torch.no_grad(), evaluating(self.generator):
            drawn = self._draw(self.log_retrieval(shown.image, real.image))
        of_relevant = self.discriminator(shown.image, shown.image).gather(1, wanted)
        of_drawn = self.discriminator(shown.image, real.image).gather(1, drawn)
        terms = {
            "relevant": mean_over(has_any, F.softplus(-of_relevant)),
            "drawn": mean_over(has_any, F.softplus(of_drawn)),
        }
        right = torch.cat([of_relevant > 0, of_drawn < 0], 1)
        return Loss(terms, {"accuracy": mean_over(has_any, right.float())})

    def generator_loss(self, real: LabelledImages, turn: Turn) -> Loss:
        """Its gradient is minus an unbiased estimate of that of the mean reward (REINFORCE; Williams, 1992)."""
        self._meet(real)
        log_probs = self.log_retrieval(real.image, real.image)
        with torch.no_grad(), evaluating(self.discriminator):
            rewards = F.softplus(self.discriminator(real.image, real.image))
        expected = (log_probs.detach().exp() * rewards).sum(1, keepdim=True)
        drawn = self._draw(log_probs.detach())
        advantages = (rewards - expected).gather(1, drawn)
        loss = -(advantages * log_probs.gather(1, drawn)).mean()
        return Loss({"reinforce": loss}, {"reward": expected.mean(), **self._precisions(real)})

    def sample(self, n: int, category: int | None = None) -> Float[Tensor, "n channels height width"]:
        """Images that the generator draws for an observed image of one category, or of each in turn."""
        device = self.observed.images.device
        queries = self.observed.one_of(categories_of(n, len(self.spec.categories), category, device))
        documents = self._candidates()
        return documents[torch.multinomial(self.log_retrieval(queries, documents).exp(), 1).squeeze(1)]

    def sheets(self) -> dict[str, Tensor]:
        """A row a category: an observed image, and its likeliest documents."""
        categories = torch.arange(len(self.spec.categories), device=self.observed.images.device)
        queries, documents = self.observed.one_of(categories), self._candidates()
        likeliest = self.log_retrieval(queries, documents).topk(min(9, len(documents)), 1).indices
        return {"retrieved": torch.cat([queries[:, None], documents[likeliest]], 1)}

    @torch.no_grad()
    def precision(self, images: LabelledImages, k: int) -> float:
        """Precision at k of the generator where each image is a query, in turn, and all others are its documents."""
        with evaluating(self.generator):
            return precision_at(k, self.log_retrieval(images.image, images.image), relevant_pairs(images)).item()

    def held_out_scores(self, real: LabelledImages) -> dict[str, float]:
        """Its precision at `k` on images that it never learns from."""
        return {f"precision-at-{self.config.k}": self.precision(real, self.config.k)}

    def _candidates(self) -> Tensor:
        return self.documents.items[: max(1, self.documents.held)]

    def _draw(self, log_probs: Tensor) -> Tensor:
        return torch.multinomial(log_probs.exp(), self.config.draws, replacement=True)

    @torch.no_grad()
    def _meet(self, real: LabelledImages) -> None:
        """Remembers the first images of each category with it, and all images without."""
        self.observed.offer(real)
        self.documents.add(real.image)

    @torch.no_grad()
    def _precisions(self, real: LabelledImages) -> dict[str, Tensor]:
        """How well either ranks a batch, beside the best that can be."""
        relevant, same = relevant_pairs(real), same_images(real.image, real.image)
        rankings = {"generator": self.generator, "discriminator": self.discriminator}
        with evaluating(self.generator, self.discriminator):
            scores = {name: network(real.image, real.image) for name, network in rankings.items()}
        scores["best possible"] = relevant.float()
        figure = f"precision at {self.config.k}"
        return {
            f"{figure}/{name}": precision_at(self.config.k, found.masked_fill(same, NEVER), relevant)
            for name, found in scores.items()
        }
