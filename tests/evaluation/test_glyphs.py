"""What is measured of characters in a style and of alphabets: on what is held out, hidden, alone."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from textgan.data.images.glyphs import GlyphConfig, GlyphCorpus, open_alphabets, open_glyphs
from textgan.evaluation import evaluation_of
from textgan.evaluation.glyphs import OBSERVED, AlphabetEvaluation, GlyphEvaluation
from textgan.evaluation.images import ImageEvaluationConfig
from textgan.game import Game

CONFIG = ImageEvaluationConfig()
SCORES = {"mae", "psnr", "ssim", "feature-spread"}


@pytest.fixture(scope="module")
def glyphs(cache: None) -> GlyphCorpus:
    return open_glyphs("fonts", GlyphConfig(size=12, limit=6))


@pytest.fixture(scope="module")
def alphabets(cache: None) -> GlyphCorpus:
    return open_alphabets("fonts", GlyphConfig(size=12))


class Weighed(Game):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))


class DrawsTheTruth(Weighed):
    """Knows every pair of every split by its source and its style."""

    data = "glyphs"

    def __init__(self, corpus: GlyphCorpus) -> None:
        super().__init__()
        self.known = {}
        for split in (corpus.train, corpus.valid, corpus.test):
            for source, target, style in zip(*split.pairs(), strict=True):
                self.known[source.numpy().tobytes(), int(style)] = target

    def sample(self, n: int, source: Tensor, style: Tensor) -> Tensor:  # type: ignore[override]
        return torch.stack([self.known[s.numpy().tobytes(), int(k)] for s, k in zip(source, style, strict=True)])


class DrawsTheSource(Weighed):
    data = "glyphs"

    def sample(self, n: int, source: Tensor, style: Tensor) -> Tensor:  # type: ignore[override]
        return source


class CompletesByHeart(Weighed):
    """Finds the alphabet that agrees with what is shown. What is shown it draws wrongly."""

    data = "alphabets"

    def __init__(self, corpus: GlyphCorpus) -> None:
        super().__init__()
        self.all = torch.cat([getattr(corpus, split).alphabets() for split in ("train", "valid", "test")])
        self.asked: list[tuple[Tensor, Tensor]] = []

    def sample(self, n: int, glyphs: Tensor, observed: Tensor) -> Tensor:  # type: ignore[override]
        self.asked.append((glyphs, observed))
        agree = [(self.all[:, o] == g[o]).flatten(1).all(1) for g, o in zip(glyphs, observed, strict=True)]
        assert [int(found.sum()) for found in agree] == [1] * n
        truth = torch.stack([self.all[found.to(torch.uint8).argmax()] for found in agree])
        return torch.where(observed[:, :, None, None], -truth, truth)

    def sheets(self) -> dict[str, Tensor]:
        return {"mine": torch.zeros(2, 3, 3, 12, 12)}


class TestGlyphs:
    @pytest.fixture
    def evaluation(self, glyphs: GlyphCorpus) -> GlyphEvaluation:
        found = evaluation_of(glyphs, CONFIG)
        assert isinstance(found, GlyphEvaluation)
        return found

    def test_the_truth_has_no_error(self, evaluation: GlyphEvaluation, glyphs: GlyphCorpus) -> None:
        found = evaluation.test_scores(DrawsTheTruth(glyphs))
        assert set(found) == SCORES
        assert (found["mae"].value, found["psnr"].value) == (0, 100)
        assert found["ssim"].value == pytest.approx(1)
        measured = evaluation.measure(DrawsTheTruth(glyphs), ends_stage=False)
        assert measured.values["mae"] == 0
        assert measured.values["feature-spread"] == pytest.approx(evaluation.watched()["feature-spread"])

    def test_what_draws_the_source_scores_as_the_control_does(
        self, evaluation: GlyphEvaluation, glyphs: GlyphCorpus
    ) -> None:
        controls = evaluation.controls()
        assert evaluation.test_scores(DrawsTheSource()) == controls["source"]
        source, target, _ = glyphs.test.pairs()
        assert controls["source"]["mae"].value == pytest.approx((source - target).abs().mean().item())

    def test_the_mean_is_that_of_the_training_characters_of_the_style(
        self, evaluation: GlyphEvaluation, glyphs: GlyphCorpus
    ) -> None:
        train, test = glyphs.train.pairs(), glyphs.test.pairs()
        errors = []
        for target, style in zip(test.target, test.style.tolist(), strict=True):
            same = torch.stack([t for t, k in zip(train.target, train.style.tolist(), strict=True) if k == style])
            errors.append((same.mean(0) - target).abs().mean().item())
        assert evaluation.controls()["mean"]["mae"].value == pytest.approx(sum(errors) / len(errors), rel=1e-5)

    def test_a_measurement_has_scores_a_sheet_and_at_the_end_of_a_stage_test_scores(
        self, evaluation: GlyphEvaluation
    ) -> None:
        kinds = [record["kind"] for record in evaluation.measure(DrawsTheSource(), ends_stage=True).records]
        assert kinds == ["metrics", "sheet", "test"]
        assert len(evaluation.measure(DrawsTheSource(), ends_stage=False).records) == 2


class TestAlphabets:
    @pytest.fixture
    def evaluation(self, alphabets: GlyphCorpus) -> AlphabetEvaluation:
        found = evaluation_of(alphabets, CONFIG)
        assert isinstance(found, AlphabetEvaluation)
        return found

    def test_the_truth_of_what_is_hidden_has_no_error_whatever_is_drawn_of_the_rest(
        self, evaluation: AlphabetEvaluation, alphabets: GlyphCorpus
    ) -> None:
        found = evaluation.test_scores(CompletesByHeart(alphabets))
        assert (found["mae"].value, found["psnr"].value) == (0, 100)
        assert "samples:84" in found["mae"].signature  # 4 fonts, 21 hidden letters

    def test_five_characters_are_shown_and_the_others_are_black(
        self, evaluation: AlphabetEvaluation, alphabets: GlyphCorpus
    ) -> None:
        game = CompletesByHeart(alphabets)
        evaluation.test_scores(game)
        ((glyphs, observed),) = game.asked
        assert observed.shape == (4, 26)
        assert observed.sum(1).tolist() == [OBSERVED] * 4
        assert (glyphs[~observed] == -1).all()
        assert torch.equal(glyphs[observed], alphabets.test.alphabets()[observed])

    def test_controls_are_the_mean_of_a_character_and_the_training_font_that_is_nearest_by_what_is_shown(
        self, evaluation: AlphabetEvaluation, alphabets: GlyphCorpus
    ) -> None:
        game = CompletesByHeart(alphabets)
        evaluation.test_scores(game)
        observed = game.asked[0][1][0]
        train, test = alphabets.train.alphabets(), alphabets.test.alphabets()
        nearest, mean = [], []
        for truth in test:
            apart = [(font[observed] - truth[observed]).square().sum().item() for font in train]
            font = train[apart.index(min(apart))]
            nearest.append((font[~observed] - truth[~observed]).abs().mean().item())
            mean.append((train.mean(0)[~observed] - truth[~observed]).abs().mean().item())
        controls = evaluation.controls()
        assert controls["nearest font"]["mae"].value == pytest.approx(sum(nearest) / 4, rel=1e-5)
        assert controls["mean"]["mae"].value == pytest.approx(sum(mean) / 4, rel=1e-5)

    def test_a_games_own_sheets_are_shown_at_the_end_of_a_stage(
        self, evaluation: AlphabetEvaluation, alphabets: GlyphCorpus
    ) -> None:
        records = evaluation.measure(CompletesByHeart(alphabets), ends_stage=True).records
        assert [record["kind"] for record in records] == ["metrics", "sheet", "test", "sheet"]
        assert records[-1]["name"] == "mine"
        sheet = Image.open(io.BytesIO(records[-1]["picture"]))
        assert sheet.size == (3 * (48 + 2) + 2, 2 * (48 + 2) + 2)
