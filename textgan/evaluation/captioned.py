"""Images drawn for a sentence: as any images, and by whether they are what the sentence says."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from textgan.data.images.captions import WORDS, CaptionedCorpus
from textgan.evaluation.config import Scores, plain
from textgan.evaluation.images import ROWS, ImageEvaluation, ImageEvaluationConfig
from textgan.game import Game
from textgan.inference import samples_of
from textgan.metrics.base import Score, signature
from textgan.metrics.classes import category_accuracy
from textgan.pictures import grid, png
from textgan.trainer import Measurement

SHOWN = 8
"""Captions of a sheet; each has the real image and some that were drawn."""


class CaptionedEvaluation:
    """Measures games that draw images for captions, which are those of held-out images."""

    def __init__(self, corpus: CaptionedCorpus, config: ImageEvaluationConfig) -> None:
        self._corpus, self._config = corpus, config
        self._plain = ImageEvaluation(corpus.images, config)
        self._held_out = {split: getattr(corpus, split).pairs(config.references) for split in ("valid", "test")}

    def controls(self) -> dict[str, Scores]:
        """Those of images; real images held against captions, their own and those of others."""
        found = self._plain.controls()
        image, _ = self._held_out["test"]
        found["real"] |= self._told(image, self._categories("test"), image)
        found["captions of others"] = self._told(image.roll(1, 0), self._categories("test"), image)
        return found

    def watched(self) -> dict[str, float]:
        """What real images score at the size of the samples drawn during training: the collapse watch's scale."""
        return self._plain.watched()

    def measure(self, game: Game, ends_stage: bool) -> Measurement:
        """The validation scores of a sample and a sheet of it; at the end of a stage the test scores too."""
        scores = self._scores(game, "valid", self._config.samples, final=False)
        records: list[dict[str, Any]] = [
            {"kind": "metrics", "scores": plain(scores)},
            {"kind": "sheet", "name": "", "picture": self._sheet(game)},
        ]
        if ends_stage:
            records.append({"kind": "test", "scores": plain(self.test_scores(game))})
        return Measurement({name: score.value for name, score in scores.items()}, records)

    def test_scores(self, game: Game, temperature: float = 1.0, samples: int | None = None) -> Scores:
        """Everything there is, against the test split."""
        return self._scores(game, "test", samples or self._config.final_samples, final=True)

    def _scores(self, game: Game, split: str, n: int, final: bool) -> Scores:
        """Of as many images as asked for, the captions being gone through again and again."""
        pairs = self._held_out[split]
        places = torch.arange(n) % len(pairs.image)
        made = samples_of(game, n, pairs.caption[places], rows=ROWS)
        told = self._told(made, self._categories(split)[places], pairs.image[places])
        return self._plain.scores_of(made, split, final) | told

    def _told(self, made: Tensor, category: Tensor, truth: Tensor) -> Scores:
        """Whether images are of the category, and of the ink, that their captions say."""
        names = self._corpus.spec.categories
        if not names:
            return {}
        _, probabilities = self._plain.look(made)
        scores = dict(category_accuracy(probabilities, category.numpy(), names, self._plain.classifier))
        right = self._corpus.tells_apart.words(made) == self._corpus.tells_apart.words(truth)
        for k, pair in enumerate(WORDS):
            name = f"caption-accuracy-{pair[1]}"
            scores[name] = Score(right[:, k].float().mean().item(), signature(name, samples=len(made)))
        return scores

    def _categories(self, split: str) -> Tensor:
        return getattr(self._corpus.images, split).categories(self._config.references)

    def _sheet(self, game: Game) -> bytes:
        """A row a caption: the real image, then seven that were drawn for it."""
        image, caption = (part[:SHOWN] for part in self._held_out["valid"])
        asked = caption.repeat_interleave(SHOWN - 1, 0)
        made = samples_of(game, len(asked), asked, rows=ROWS).unflatten(0, (len(image), SHOWN - 1))
        return png(grid(torch.cat([image[:, None], made], 1).flatten(0, 1), SHOWN))
