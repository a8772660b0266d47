"""Images carried from one domain to the other: held against the truth where it is known, else against the domain."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from textgan.data.images.domains import UnpairedCorpus
from textgan.data.images.pairs import ImagePairs
from textgan.evaluation.config import Scores, plain
from textgan.evaluation.images import ROWS, ImageEvaluationConfig
from textgan.evaluation.pairs import make, side_by_side
from textgan.game import Game
from textgan.inference import values_of
from textgan.metrics.embedding import frechet_distance, kernel_mmd, nearest_neighbour_accuracy
from textgan.metrics.restoration import restoration_scores
from textgan.metrics.spread import spread
from textgan.pictures import grid, png
from textgan.trainer import Measurement

LOOKED_AT = 8
"""Pixels a side of the images that are compared as vectors."""
ENCODER = "pixels8"


@runtime_checkable
class HasWayBack(Protocol):
    """A game that also carries images of the second domain into the first."""

    def back(self, images: Tensor) -> Tensor: ...


class UnpairedEvaluation:
    """Measures games that carry images from one domain into another."""

    def __init__(self, corpus: UnpairedCorpus, config: ImageEvaluationConfig) -> None:
        self._corpus, self._config = corpus, config
        self._held_out = {split: self._given(split) for split in ("valid", "test")}

    def controls(self) -> dict[str, Scores]:
        """What takes no learning: the images as they are and, where the truth is known, the mean of the second domain
        and the truth itself."""
        given, truth, _ = self._held_out["test"]
        found = {"source": self._scores(given, "test")}
        if truth is not None:
            mean = self._corpus.train.take(torch.arange(len(self._corpus.train))).b.mean(0, keepdim=True)
            found["mean"] = self._scores(mean.expand_as(given), "test")
            found["truth"] = self._scores(truth, "test")
        return found

    def watched(self) -> dict[str, float]:
        """How varied the second domain is: the collapse watch's scale."""
        _, _, others = self._held_out["valid"]
        return {"feature-spread": spread(_vectors(others), ENCODER).value}

    def measure(self, game: Game, ends_stage: bool) -> Measurement:
        """The validation scores and a sheet; at the end of a stage the test scores too."""
        given, truth, others = self._held_out["valid"]
        made = make(game, given)
        scores = self._scores(made, "valid")
        back = values_of(game.back, made, rows=ROWS) if isinstance(game, HasWayBack) else others
        third = truth if truth is not None else back[: len(made)]
        records: list[dict[str, Any]] = [
            {"kind": "metrics", "scores": plain(scores)},
            {"kind": "sheet", "name": "", "picture": png(grid(side_by_side(ImagePairs(given, third), made), 6))},
        ]
        if ends_stage:
            records.append({"kind": "test", "scores": plain(self.test_scores(game))})
        return Measurement({name: score.value for name, score in scores.items()}, records)

    def test_scores(self, game: Game, temperature: float = 1.0, samples: int | None = None) -> Scores:
        """Everything there is, against the test split."""
        given, _, _ = self._held_out["test"]
        return self._scores(make(game, given[:samples]), "test")

    def _scores(self, made: Tensor, split: str) -> Scores:
        _, truth, others = self._held_out[split]
        real, fake = _vectors(others), _vectors(made)
        scores = {
            "frechet-distance": frechet_distance(real, fake, ENCODER),
            **kernel_mmd(real, fake, ENCODER),
            **nearest_neighbour_accuracy(real, fake, ENCODER),
            "feature-spread": spread(fake, ENCODER),
        }
        if truth is not None:
            scores |= restoration_scores(made.numpy(), truth[: len(made)].numpy())
        return scores

    def _given(self, split: str) -> tuple[Tensor, Tensor | None, Tensor]:
        """Images of the first domain, what they should become, and images of the second."""
        held_out, limit = getattr(self._corpus, split), self._config.references
        if pairs := held_out.pairs(limit):
            others = held_out.take(torch.arange(min(len(held_out), limit))).b
            return pairs.source, pairs.target, others
        found = held_out.images(limit)
        return found.a, None, found.b


def _vectors(images: Tensor) -> Any:
    """Small versions of images, as vectors."""
    return torch.nn.functional.adaptive_avg_pool2d(images, LOOKED_AT).flatten(1).numpy()
