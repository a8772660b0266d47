"""Characters drawn in a style, or alphabets completed, held against the true ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from textgan.data.images.glyphs import AlphabetSpec, GlyphCorpus, Glyphs
from textgan.data.images.pairs import ImagePairs
from textgan.evaluation.config import Scores, plain
from textgan.evaluation.images import ROWS, HasSheets, ImageEvaluationConfig
from textgan.evaluation.pairs import side_by_side
from textgan.game import Game
from textgan.inference import samples_of
from textgan.metrics.restoration import restoration_scores
from textgan.metrics.spread import spread
from textgan.pictures import grid, png
from textgan.trainer import Measurement

OBSERVED = 5
"""Characters of an alphabet that are shown; the others are to be drawn."""
SHOWN_FONTS = 4


class GlyphEvaluation:
    """Measures games of pairs of glyphs against held-out characters of all styles."""

    def __init__(self, corpus: GlyphCorpus, config: ImageEvaluationConfig) -> None:
        self._corpus, self._config = corpus, config
        self._held_out: dict[str, Glyphs] = {s: getattr(corpus, s).pairs(config.references) for s in ("valid", "test")}

    def controls(self) -> dict[str, Scores]:
        """What takes no learning: the source itself, and the mean of the training glyphs of the style."""
        source, target, style = self._held_out["test"]
        train = self._corpus.train.pairs()
        styles = len(self._corpus.spec.styles)  # type: ignore[union-attr]
        means = torch.stack([train.target[train.style == k].mean(0) for k in range(styles)])
        return {"source": _scores(source, target), "mean": _scores(means[style], target)}

    def watched(self) -> dict[str, float]:
        """How varied true glyphs are: the collapse watch's scale."""
        return {"feature-spread": spread(self._held_out["valid"].target.flatten(1).numpy(), "pixels").value}

    def measure(self, game: Game, ends_stage: bool) -> Measurement:
        """The validation scores and a sheet; at the end of a stage the test scores too."""
        found = self._held_out["valid"]
        made = _made(game, found)
        scores = _scores(made, found.target)
        apart = torch.arange(min(16, len(made))) * len(made) // min(16, len(made))
        shown = side_by_side(ImagePairs(found.source[apart], found.target[apart]), made[apart])
        records: list[dict[str, Any]] = [
            {"kind": "metrics", "scores": plain(scores)},
            {"kind": "sheet", "name": "", "picture": png(grid(shown, 6))},
        ]
        if ends_stage:
            records.append({"kind": "test", "scores": plain(self.test_scores(game))})
        return Measurement({name: score.value for name, score in scores.items()}, records)

    def test_scores(self, game: Game, temperature: float = 1.0, samples: int | None = None) -> Scores:
        """Everything there is, against the test split."""
        found = Glyphs(*(part[:samples] for part in self._held_out["test"]))
        return _scores(_made(game, found), found.target)


class AlphabetEvaluation:
    """Measures games of alphabets against held-out fonts, of which five characters are shown."""

    def __init__(self, corpus: GlyphCorpus, config: ImageEvaluationConfig) -> None:
        assert isinstance(corpus.spec, AlphabetSpec)
        self._corpus, self._config = corpus, config
        self._held_out: dict[str, Tensor] = {s: getattr(corpus, s).alphabets() for s in ("valid", "test")}
        k = len(corpus.spec.characters)
        self._observed = torch.zeros(k, dtype=torch.bool)
        self._observed[torch.randperm(k, generator=torch.Generator().manual_seed(0))[: min(OBSERVED, k // 2)]] = True

    def controls(self) -> dict[str, Scores]:
        """What takes no learning: the mean of each character over the training fonts, and the most similar training
        font by the characters shown."""
        train, truth = self._corpus.train.alphabets(), self._held_out["test"]
        shown = (truth[:, self._observed].flatten(1), train[:, self._observed].flatten(1))
        nearest = torch.cdist(*shown).argmin(1)
        mean = train.mean(0, keepdim=True).expand_as(truth)
        return {"mean": self._scores(mean, truth), "nearest font": self._scores(train[nearest], truth)}

    def watched(self) -> dict[str, float]:
        """How varied true glyphs are: the collapse watch's scale."""
        return {"feature-spread": spread(self._held_out["valid"].flatten(0, 1).flatten(1).numpy(), "pixels").value}

    def measure(self, game: Game, ends_stage: bool) -> Measurement:
        """The validation scores and a sheet: a true alphabet, what was shown of it, what was made of that."""
        truth = self._held_out["valid"]
        made = self._made(game, truth)
        scores = self._scores(made, truth)
        shown = torch.stack([truth, self._shown(truth), made], 1)[:SHOWN_FONTS].flatten(0, 2)[:, None]
        records: list[dict[str, Any]] = [
            {"kind": "metrics", "scores": plain(scores)},
            {"kind": "sheet", "name": "", "picture": png(grid(shown, truth.shape[1]))},
        ]
        if ends_stage:
            records.append({"kind": "test", "scores": plain(self.test_scores(game))})
            for name, rows in game.sheets().items() if isinstance(game, HasSheets) else ():
                records.append({"kind": "sheet", "name": name, "picture": png(grid(rows.flatten(0, 1), rows.shape[1]))})
        return Measurement({name: score.value for name, score in scores.items()}, records)

    def test_scores(self, game: Game, temperature: float = 1.0, samples: int | None = None) -> Scores:
        """Everything there is, against the test split."""
        truth = self._held_out["test"][:samples]
        return self._scores(self._made(game, truth), truth)

    def _shown(self, truth: Tensor) -> Tensor:
        return torch.where(self._observed[:, None, None], truth, -1.0)

    def _made(self, game: Game, truth: Tensor) -> Tensor:
        observed = self._observed.expand(len(truth), -1)
        return samples_of(game, len(truth), self._shown(truth), observed)

    def _scores(self, made: Tensor, truth: Tensor) -> Scores:
        """Of the characters that were not shown."""
        hidden = [part[:, ~self._observed].flatten(0, 1)[:, None] for part in (made, truth)]
        return _scores(*hidden)


def _made(game: Game, found: Glyphs) -> Tensor:
    return samples_of(game, len(found.source), found.source, found.style, rows=ROWS)


def _scores(made: Tensor, truth: Tensor) -> Scores:
    scores = restoration_scores(made.numpy(), truth.numpy())
    return scores | {"feature-spread": spread(made.flatten(1).numpy(), "pixels")}
