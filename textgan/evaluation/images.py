"""Images, held against held-out images through the eyes of a classifier that knows the corpus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from textgan.data.images.corpus import ImageCorpus, LabelledImageSplit
from textgan.data.images.spec import LabelledImages
from textgan.errors import check_at_least
from textgan.evaluation.config import Scores, plain
from textgan.evaluation.image_features import ImageFeatures
from textgan.game import Game
from textgan.inference import samples_of, values_of
from textgan.latents import great_circle
from textgan.metrics.base import Score, signature
from textgan.metrics.classes import category_accuracy, class_scores, code_match
from textgan.metrics.embedding import (
    density_coverage,
    frechet_distance,
    kernel_mmd,
    nearest_neighbour_accuracy,
    precision_recall,
)
from textgan.metrics.spread import spread
from textgan.metrics.transport import wasserstein_distance
from textgan.pictures import grid, png
from textgan.processes import choose_device
from textgan.trainer import Measurement

LEAST = 6
"""Coverage looks at an image's five nearest others."""
STEPS = 10
"""Images of a row of an interpolation."""
ROWS = 500
"""Images that are drawn at once: bounds memory."""


@dataclass(frozen=True)
class ImageEvaluationConfig:
    """What is drawn to be measured and to be looked at."""

    samples: int = 500
    """Images drawn at each measurement during training."""
    final_samples: int = 2000
    """Images drawn at the end of a stage, for the test scores."""
    references: int = 5000
    """Held-out images of a split, at most, that samples are held against."""
    shown: int = 64
    """Images on a sheet."""

    def __post_init__(self) -> None:
        check_at_least(LEAST, "evaluation", self, "samples", "final_samples", "references")
        check_at_least(1, "evaluation", self, "shown")


@runtime_checkable
class HasLatents(Protocol):
    """A game whose images are functions of a latent vector, and of a category where it learned from categories."""

    def latents(self, n: int) -> Tensor: ...
    def decode(self, latents: Tensor, *category: Tensor) -> Tensor: ...


@runtime_checkable
class HasSheets(Protocol):
    """A game with something of its own to show: rows of images by name."""

    def sheets(self) -> Mapping[str, Tensor]: ...


@runtime_checkable
class ReadsCodes(Protocol):
    """A game that has found categories by itself, and tells of any image which it is of."""

    def codes_of(self, images: Tensor) -> Tensor: ...


@runtime_checkable
class ScoresItself(Protocol):
    """A game of categories with a quality of its own, seen on held-out images: numbers by name."""

    def held_out_scores(self, real: LabelledImages) -> Mapping[str, float]: ...


class ImageEvaluation:
    """Measures games of images against the held-out splits of a corpus."""

    def __init__(self, corpus: ImageCorpus, config: ImageEvaluationConfig) -> None:
        self._corpus, self._config = corpus, config
        self._labelled = isinstance(corpus.train, LabelledImageSplit)
        self._features = ImageFeatures(corpus, choose_device("auto"))
        self.look = self._features.look
        self.classifier = self._features.signature
        """What looks at images, in signatures."""
        self._real: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def controls(self) -> dict[str, Scores]:
        """Scores that frame every table: real held-out images and training images against the test split, and noise.

        Distances fall with the number of images. There are often few held-out ones; training images, which a generator
        may know by heart, are the floor for as many samples.
        """
        limit = self._config.final_samples
        real = self._corpus.valid.images(limit)
        noise = torch.rand(real.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        framed = {"real": real, "training": self._corpus.train.images(limit), "random": noise}
        found = {name: self.scores_of(images, "test") for name, images in framed.items()}
        if self._labelled:
            found["real"] |= self._accuracy(self._corpus.test.images(limit), self._corpus.test.categories(limit))
        return found

    def watched(self) -> dict[str, float]:
        """What real images score at the size of the samples drawn during training: the collapse watch's scale."""
        real = self._corpus.train.images(self._config.samples)
        return {name: score.value for name, score in self.scores_of(real, "valid").items()}

    def measure(self, game: Game, ends_stage: bool) -> Measurement:
        """The validation scores of a sample and a sheet of it; at the end of a stage the test scores, more sheets."""
        drawn, category = self._draw(game, self._config.samples)
        scores = self._all_scores(drawn, category, "valid")
        shown = png(grid(drawn[: self._config.shown]))
        records: list[dict[str, Any]] = [
            {"kind": "metrics", "scores": plain(scores)},
            {"kind": "sheet", "name": "", "picture": shown},
        ]
        if ends_stage:
            records.append({"kind": "test", "scores": plain(self.test_scores(game))})
            for name, sheet in self._sheets(game).items():
                records.append({"kind": "sheet", "name": name, "picture": png(grid(*sheet))})
        return Measurement({name: score.value for name, score in scores.items()}, records)

    def test_scores(self, game: Game, temperature: float = 1.0, samples: int | None = None) -> Scores:
        """Everything there is, against the test split."""
        drawn, category = self._draw(game, samples or self._config.final_samples)
        return self._all_scores(drawn, category, "test", final=True) | self._of_its_own(game, drawn)

    def _of_its_own(self, game: Game, drawn: Tensor) -> Scores:
        """What some games can do besides generating, on the test split."""
        scores: Scores = {}
        limit, device = self._config.references, next(game.parameters()).device
        if isinstance(game, ReadsCodes) and self._features.knows_categories:
            for name, images in (("code-match", self._corpus.test.images(limit)), ("code-match-fake", drawn)):
                codes = values_of(game.codes_of, images, rows=ROWS).numpy()
                scores[name] = code_match(self.look(images)[1], codes, name, self.classifier)
        if isinstance(game, ScoresItself):
            split = self._corpus.test
            image, category = split.take(split.places(limit))
            for name, value in game.held_out_scores(LabelledImages(image.to(device), category.to(device))).items():
                scores[name] = Score(value, signature(name, images=len(image)))
        return scores

    def _draw(self, game: Game, n: int) -> tuple[Float[Tensor, "n ..."], Int[Tensor, " n"]]:
        """Images, and the category that each was asked to be of: each in turn."""
        k = max(1, len(self._corpus.spec.categories))
        return samples_of(game, n, rows=ROWS, together=k), torch.arange(n) % k

    def _all_scores(self, images: Tensor, category: Tensor, split: str, final: bool = False) -> Scores:
        scores = self.scores_of(images, split, final)
        return scores | self._accuracy(images, category) if self._labelled else scores

    def scores_of(self, images: Tensor, split: str, final: bool = True) -> Scores:
        """Scores of images against a held-out split: those that take milliseconds; `final`: all there are."""
        features, probabilities = self.look(images)
        real, real_probabilities = self._references(split)
        by = self.classifier
        scores = {
            "frechet-distance": frechet_distance(real, features, by),
            "feature-spread": spread(features, by),
            **kernel_mmd(real, features, by),
        }
        if self._features.knows_categories:
            scores |= class_scores(probabilities, real_probabilities, by)
        if final:
            scores |= {
                "wasserstein-distance": wasserstein_distance(real, features, by),
                **nearest_neighbour_accuracy(real, features, by),
                **precision_recall(real, features, by),
                **density_coverage(real, features, by),
            }
        return scores

    def _accuracy(self, images: Tensor, category: Tensor) -> Scores:
        _, probabilities = self.look(images)
        names = self._corpus.spec.categories
        return dict(category_accuracy(probabilities, category.numpy(), names, self.classifier))

    def _references(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Features and probabilities of a held-out split, looked at once."""
        if split not in self._real:
            self._real[split] = self.look(getattr(self._corpus, split).images(self._config.references))
        return self._real[split]

    def _sheets(self, game: Game) -> dict[str, tuple[Tensor, int | None]]:
        """What there is to look at: images, and how many of them in a row."""
        found: dict[str, tuple[Tensor, int | None]] = {"real": (self._real_sheet, None)}
        if isinstance(game, HasLatents):
            found["interpolation"] = self._interpolation(game), STEPS
        if isinstance(game, HasSheets):
            found |= {name: (rows.flatten(0, 1), rows.shape[1]) for name, rows in game.sheets().items()}
        return found

    def _interpolation(self, game: HasLatents, rows: int = 6) -> Tensor:
        """Rows of images of latent vectors on the great circles between two of them (White 2016)."""
        ends = game.latents(2 * rows)
        between = great_circle(ends[:rows], ends[rows:], STEPS).flatten(0, 1)
        if not self._labelled:
            return game.decode(between)
        row = torch.arange(rows, device=between.device).repeat_interleave(STEPS)
        return game.decode(between, row % len(self._corpus.spec.categories))

    @cached_property
    def _real_sheet(self) -> Tensor:
        return self._corpus.valid.images(self._config.shown)
