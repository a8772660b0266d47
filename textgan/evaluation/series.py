"""Windows of time series, held against held-out windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from textgan.data.series import SeriesCorpus
from textgan.drawing import bundle
from textgan.errors import check_at_least
from textgan.evaluation.config import Scores, plain
from textgan.game import Game
from textgan.inference import samples_of
from textgan.metrics.embedding import frechet_distance, kernel_mmd, nearest_neighbour_accuracy
from textgan.metrics.series import series_scores
from textgan.metrics.spread import spread
from textgan.trainer import Measurement

ENCODER = "numbers"


@dataclass(frozen=True)
class SeriesEvaluationConfig:
    """What is drawn to be measured and to be looked at."""

    samples: int = 500
    """Windows drawn at each measurement during training."""
    final_samples: int = 2000
    """Windows drawn at the end of a stage, for the test scores."""
    references: int = 2000
    """Held-out windows of a split, at most, that samples are held against."""
    shown: int = 30
    """Windows in a figure."""

    def __post_init__(self) -> None:
        check_at_least(6, "evaluation", self, "samples", "final_samples", "references")
        check_at_least(1, "evaluation", self, "shown")


class SeriesEvaluation:
    """Measures games of time series against the held-out splits of a corpus."""

    def __init__(self, corpus: SeriesCorpus, config: SeriesEvaluationConfig) -> None:
        self._corpus, self._config = corpus, config
        self._real = {s: getattr(corpus, s).windows(config.references).numpy() for s in ("train", "valid", "test")}

    def controls(self) -> dict[str, Scores]:
        """Training windows, the floor, and the same numbers in another order, each channel by itself: what is known of
        a series without its order."""
        train = self._real["train"]
        shuffled = np.random.default_rng(0).permuted(train.reshape(-1, train.shape[2]), axis=0).reshape(train.shape)
        return {"real": self._scores(train, "test"), "shuffled": self._scores(shuffled, "test")}

    def watched(self) -> dict[str, float]:
        """How varied real windows are: the collapse watch's scale."""
        return {"feature-spread": spread(_vectors(self._real["valid"]), ENCODER).value}

    def measure(self, game: Game, ends_stage: bool) -> Measurement:
        """The validation scores of a sample and a figure of it; at the end of a stage the test scores too."""
        drawn = _drawn(game, self._config.samples)
        scores = self._scores(drawn, "valid")
        n = self._config.shown
        records: list[dict[str, Any]] = [
            {"kind": "metrics", "scores": plain(scores)},
            {"kind": "sheet", "name": "", "picture": bundle(self._real["valid"][:n], drawn[:n])},
        ]
        if ends_stage:
            records.append({"kind": "test", "scores": plain(self.test_scores(game))})
        return Measurement({name: score.value for name, score in scores.items()}, records)

    def test_scores(self, game: Game, temperature: float = 1.0, samples: int | None = None) -> Scores:
        """Everything there is, against the test split."""
        return self._scores(_drawn(game, samples or self._config.final_samples), "test")

    def _scores(self, drawn: np.ndarray, split: str) -> Scores:
        real, fake = _vectors(self._real[split]), _vectors(drawn)
        return {
            "frechet-distance": frechet_distance(real, fake, ENCODER),
            **kernel_mmd(real, fake, ENCODER),
            **nearest_neighbour_accuracy(real, fake, ENCODER),
            "feature-spread": spread(fake, ENCODER),
            **series_scores(self._real[split], drawn),
        }


def _drawn(game: Game, n: int) -> np.ndarray:
    return samples_of(game, n).numpy()


def _vectors(windows: np.ndarray) -> np.ndarray:
    return windows.reshape(len(windows), -1)
