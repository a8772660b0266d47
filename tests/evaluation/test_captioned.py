"""What is measured of images of sentences: against the truth of each caption, not of captions at large."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from textgan.data.images.captions import CaptionedCorpus, open_captioned
from textgan.data.images.settings import ImageConfig
from textgan.evaluation import evaluation_of, image_features
from textgan.evaluation.captioned import CaptionedEvaluation
from textgan.evaluation.images import ImageEvaluationConfig
from textgan.game import Game

CONFIG = ImageEvaluationConfig(samples=80, final_samples=120, references=120, shown=9)
SAID = {"caption-accuracy-bold", "caption-accuracy-wide", "caption-accuracy-tall"}


@pytest.fixture(scope="module")
def corpus(cache: None) -> CaptionedCorpus:
    return open_captioned("digits", ImageConfig(limit=600, test=0.25, valid=0.15))


@pytest.fixture(scope="module")
def evaluation(corpus: CaptionedCorpus) -> Iterator[CaptionedEvaluation]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_features, "STEPS", 80)
        found = evaluation_of(corpus, CONFIG)
        assert isinstance(found, CaptionedEvaluation)
        yield found


class ByHeart(Game):
    """Draws a real image for each caption: one of the same words, or of another caption."""

    data = "captioned_images"

    def __init__(self, corpus: CaptionedCorpus, split: str, shift: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.pairs = getattr(corpus, split).pairs(CONFIG.references)
        self.shift, self.asked = shift, 0

    def sample(self, n: int, caption: Tensor) -> Tensor:  # type: ignore[override]
        places = (self.asked + torch.arange(n)) % len(self.pairs.image)
        self.asked += n
        assert torch.equal(caption, self.pairs.caption[places])  # those of held-out images, in turn
        return self.pairs.image[(places + self.shift) % len(self.pairs.image)]


def test_the_image_of_each_caption_scores_as_real_images_do(
    evaluation: CaptionedEvaluation, corpus: CaptionedCorpus
) -> None:
    n = len(corpus.test.pairs(CONFIG.references).image)
    found, real = evaluation.test_scores(ByHeart(corpus, "test"), samples=n), evaluation.controls()["real"]
    assert {name: found[name].value for name in SAID} == dict.fromkeys(SAID, 1.0)
    assert {name: real[name].value for name in SAID} == dict.fromkeys(SAID, 1.0)
    assert found["category-accuracy"] == real["category-accuracy"]
    assert found["category-accuracy"].value > 0.5  # a classifier of few steps
    assert found["frechet-distance"].value == pytest.approx(0, abs=1e-3)


def test_images_of_other_captions_are_as_real_and_are_told_by_their_captions(
    evaluation: CaptionedEvaluation, corpus: CaptionedCorpus
) -> None:
    n = len(corpus.test.pairs(CONFIG.references).image)
    found = evaluation.test_scores(ByHeart(corpus, "test", shift=-1), samples=n)
    control = evaluation.controls()["captions of others"]
    for name in (*SAID, "category-accuracy"):
        assert found[name] == control[name]
        assert control[name].value < 0.75
    assert found["frechet-distance"].value == pytest.approx(0, abs=1e-3)


def test_words_are_compared_image_by_image(evaluation: CaptionedEvaluation, corpus: CaptionedCorpus) -> None:
    pairs = corpus.test.pairs(CONFIG.references)
    words = corpus.tells_apart.words(pairs.image)
    same = (words == words.roll(1, 0)).float().mean(0).tolist()
    control = evaluation.controls()["captions of others"]
    names = ("bold", "wide", "tall")
    assert [control[f"caption-accuracy-{name}"].value for name in names] == pytest.approx(same)


def test_more_samples_than_captions_go_through_them_again(
    evaluation: CaptionedEvaluation, corpus: CaptionedCorpus
) -> None:
    found = evaluation.test_scores(ByHeart(corpus, "test"), samples=300)
    assert found["caption-accuracy-bold"].value == 1
    assert "samples:300" in found["caption-accuracy-bold"].signature


def test_a_measurement_is_of_validation_captions_and_has_a_sheet(
    evaluation: CaptionedEvaluation, corpus: CaptionedCorpus
) -> None:
    class Fresh(ByHeart):
        def sample(self, n: int, caption: Tensor) -> Tensor:
            if caption.shape[0] == CONFIG.samples:
                return super().sample(n, caption)
            rows = [int((self.pairs.caption == row).all(1).to(torch.uint8).argmax()) for row in caption]
            return self.pairs.image[rows]

    measured = evaluation.measure(Fresh(corpus, "valid"), ends_stage=False)
    assert [record["kind"] for record in measured.records] == ["metrics", "sheet"]
    assert {measured.values[name] for name in SAID} == {1.0}
    assert np.isfinite(list(measured.values.values())).all()
