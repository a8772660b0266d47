"""Games of series, measured: a perfect one scores like real windows, one without order does not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from textgan.data.series import SeriesConfig, SeriesCorpus, SeriesSplit, open_series
from textgan.errors import UserError
from textgan.evaluation import evaluation_of
from textgan.evaluation.series import SeriesEvaluation, SeriesEvaluationConfig
from textgan.game import Game

CONFIG = SeriesEvaluationConfig(samples=200, final_samples=400, references=400, shown=5)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> SeriesCorpus:
    """Two channels of noisy waves of period 8, the second of ten times the first's size."""
    rng, t = np.random.default_rng(0), np.arange(2000)
    wave = np.sin(2 * np.pi * t / 8)
    rows = np.stack([wave, 10 * wave], 1) + 0.1 * rng.standard_normal((2000, 2)) * [1, 10]
    path = tmp_path_factory.mktemp("series") / "waves.csv"
    path.write_text("a,b\n" + "\n".join(f"{a:.6f},{b:.6f}" for a, b in rows))
    return open_series(str(path), SeriesConfig(window=12, together=True, standardise=False, valid=0.25, test=0.25))


@pytest.fixture(scope="module")
def evaluation(corpus: SeriesCorpus) -> SeriesEvaluation:
    made = evaluation_of(corpus, CONFIG)
    assert isinstance(made, SeriesEvaluation)
    return made


class Recorder(Game):
    """Plays windows of a split again; `shuffled`: with the numbers of each window in another order."""

    def __init__(self, split: SeriesSplit, shuffled: bool = False) -> None:
        super().__init__()
        self.split, self.shuffled, self.asked = split, shuffled, []
        self.weight = nn.Parameter(torch.zeros(()))

    def sample(self, n: int) -> Tensor:
        self.asked.append(n)
        windows = self.split.windows()[torch.randperm(len(self.split))[:n]]
        return windows[:, torch.randperm(windows.shape[1])] if self.shuffled else windows + 0 * self.weight


def test_a_perfect_generator_is_near_the_floor_and_one_without_order_far_from_it(corpus, evaluation):
    floor = {name: score.value for name, score in evaluation.controls()["real"].items()}
    torch.manual_seed(0)
    perfect, shuffled = (
        {name: score.value for name, score in evaluation.test_scores(Recorder(corpus.train, how)).items()}
        for how in (False, True)
    )
    variance = corpus.test.windows().var((0, 1)).sum().item() * 12
    assert perfect["frechet-distance"] < 0.01 * variance
    assert perfect["frechet-distance"] == pytest.approx(floor["frechet-distance"], abs=0.01 * variance)
    assert perfect["1nn-accuracy"] == pytest.approx(0.5, abs=0.1)
    assert perfect["autocorrelation-error"] < 0.05
    assert perfect["marginal-distance"] < 0.1
    assert shuffled["autocorrelation-error"] > 0.5
    assert shuffled["1nn-accuracy"] > 0.95
    assert shuffled["frechet-distance"] > 20 * perfect["frechet-distance"]
    assert shuffled["marginal-distance"] < 0.3


def test_the_control_without_order_keeps_each_channels_numbers_to_itself(evaluation):
    control = {name: score.value for name, score in evaluation.controls()["shuffled"].items()}
    assert control["marginal-distance"] < 0.1  # numbers of the other channel would be ten times too large
    assert control["autocorrelation-error"] > 0.8


def test_windows_are_told_apart_by_all_their_numbers(corpus, evaluation):
    """A generator that repeats one window has no spread; the watch's scale is that of real ones."""

    class One(Recorder):
        def sample(self, n: int) -> Tensor:
            return self.split.windows(1).expand(n, -1, -1)

    scores = evaluation.test_scores(One(corpus.test))
    assert scores["feature-spread"].value == pytest.approx(0, abs=1e-6)
    assert evaluation.watched()["feature-spread"] > 1


def test_the_records_of_a_measurement(corpus, evaluation):
    game = Recorder(corpus.train)
    middle = evaluation.measure(game, ends_stage=False)
    assert [record["kind"] for record in middle.records] == ["metrics", "sheet"]
    assert game.asked == [200]
    end = evaluation.measure(game, ends_stage=True)
    assert [record["kind"] for record in end.records] == ["metrics", "sheet", "test"]
    assert game.asked == [200, 200, 400]
    assert end.values == {name: score["value"] for name, score in end.records[0]["scores"].items()}
    assert "samples:200" in end.records[0]["scores"]["kurtosis"]["signature"]
    assert "samples:400" in end.records[2]["scores"]["kurtosis"]["signature"]
    picture = Image.open(io.BytesIO(end.records[1]["picture"]))
    assert picture.size == (800, 280)


def test_the_test_scores_are_against_the_test_split(tmp_path: Path):
    rows = [0.0, 1.0] * 15 + [5.0, 6.0] * 5 + [9.0, 10.0] * 5
    path = tmp_path / "steps.csv"
    path.write_text("a\n" + "\n".join(map(str, rows)))
    corpus = open_series(str(path), SeriesConfig(window=2, standardise=False, valid=0.2, test=0.2))
    evaluation = SeriesEvaluation(corpus, SeriesEvaluationConfig(samples=6, final_samples=6, references=50))
    game = Recorder(corpus.test)
    assert evaluation.test_scores(game)["marginal-distance"].value < 0.3
    during = evaluation.measure(game, ends_stage=False)
    assert during.values["marginal-distance"] == pytest.approx(4, abs=0.3)


def test_too_few_samples_are_refused():
    with pytest.raises(UserError, match=r"evaluation.samples is 5; it must be at least 6"):
        SeriesEvaluationConfig(samples=5)
    with pytest.raises(UserError, match=r"evaluation.shown is 0; it must be at least 1"):
        SeriesEvaluationConfig(shown=0)
