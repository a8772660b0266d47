"""Images made of given ones, each held against the truth."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from textgan.data.images.pairs import ImagePairs, PairCorpus
from textgan.evaluation.config import Scores, plain
from textgan.evaluation.images import ROWS, ImageEvaluationConfig
from textgan.game import Game
from textgan.inference import samples_of
from textgan.metrics.restoration import restoration_scores
from textgan.metrics.spread import spread
from textgan.pictures import grid, png
from textgan.trainer import Measurement

SHOWN_ROWS = 8
"""Of a sheet: each has a source, what was made of it, and the truth, twice."""


class PairEvaluation:
    """Measures games that make an image of a given one against the held-out pairs of a corpus."""

    def __init__(self, corpus: PairCorpus, config: ImageEvaluationConfig) -> None:
        self._corpus, self._config = corpus, config
        self._held_out = {split: getattr(corpus, split).pairs(config.references) for split in ("valid", "test")}

    def controls(self) -> dict[str, Scores]:
        """What takes no learning: the mean of the training targets, and the source itself, enlarged by a cubic spline
        where it is smaller."""
        pairs = self._shown("test", self._config.final_samples)
        mean = self._corpus.train.pairs(self._config.references).target.mean(0, keepdim=True)
        found = {"mean": _scores(mean.expand_as(pairs.target), pairs.target)}
        if pairs.source.shape[1] == pairs.target.shape[1]:
            found["source"] = _scores(as_large(pairs.source, pairs.target), pairs.target)
        return found

    def watched(self) -> dict[str, float]:
        """How varied true images are: the collapse watch's scale."""
        target = self._shown("valid", self._config.samples).target
        return {"feature-spread": spread(target.flatten(1).numpy(), "pixels").value}

    def measure(self, game: Game, ends_stage: bool) -> Measurement:
        """The validation scores and a sheet; at the end of a stage the test scores too."""
        pairs = self._shown("valid", self._config.samples)
        made = make(game, pairs.source)
        scores = _scores(made, pairs.target)
        records: list[dict[str, Any]] = [
            {"kind": "metrics", "scores": plain(scores)},
            {"kind": "sheet", "name": "", "picture": png(grid(side_by_side(pairs, made), 6))},
        ]
        if ends_stage:
            records.append({"kind": "test", "scores": plain(self.test_scores(game))})
        return Measurement({name: score.value for name, score in scores.items()}, records)

    def test_scores(self, game: Game, temperature: float = 1.0, samples: int | None = None) -> Scores:
        """Everything there is, against the test split."""
        pairs = self._shown("test", samples or self._config.final_samples)
        return _scores(make(game, pairs.source), pairs.target)

    def _shown(self, split: str, limit: int) -> ImagePairs:
        return ImagePairs(*(part[:limit] for part in self._held_out[split]))


def make(game: Game, source: Tensor) -> Tensor:
    """What a game makes of given images."""
    return samples_of(game, len(source), source, rows=ROWS)


def as_large(source: Tensor, target: Tensor) -> Tensor:
    """Images enlarged by a cubic spline to the size of others; themselves where they have it."""
    if source.shape[2:] == target.shape[2:]:
        return source
    return F.interpolate(source, target.shape[2:], mode="bicubic", align_corners=False).clamp(-1, 1)


def side_by_side(pairs: ImagePairs, made: Tensor) -> Tensor:
    """Source, what was made, truth; source, what was made, truth: as large and of as many channels as the targets."""
    n = 2 * SHOWN_ROWS
    target, made = pairs.target[:n], made[:n]
    source = F.interpolate(pairs.source[:n], target.shape[2:], mode="nearest")
    channels = max(source.shape[1], target.shape[1])
    parts = [part.expand(-1, channels, -1, -1) for part in (source, made, target)]
    return torch.stack(parts, 1).flatten(0, 1)


def _scores(made: Tensor, truth: Tensor) -> Scores:
    scores = restoration_scores(made.numpy(), truth.numpy())
    return scores | {"feature-spread": spread(made.flatten(1).numpy(), "pixels")}
