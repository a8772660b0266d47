"""What is measured of images, and of which controls."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from textgan.data.images.corpus import ImageCorpus, open_images
from textgan.data.images.domains import UnpairedConfig, open_domains
from textgan.data.images.pairs import PairConfig, open_pairs
from textgan.data.images.readers import digits
from textgan.data.images.settings import ImageConfig
from textgan.data.images.spec import LabelledImages
from textgan.evaluation import evaluation_of, image_features
from textgan.evaluation.images import ImageEvaluation, ImageEvaluationConfig
from textgan.game import Game
from textgan.latents import on_sphere

CONFIG = ImageEvaluationConfig(samples=120, final_samples=150, references=200, shown=9)
FEATURES = {
    "frechet-distance", "feature-spread", "mmd-rbf", "mmd-cubic", "inception-score", "mode-score", "class-entropy",
    "class-divergence", "modes-covered",
}  # fmt: skip
FINAL = {
    "wasserstein-distance", "1nn-accuracy", "1nn-accuracy-real", "1nn-accuracy-fake", "precision", "recall", "density",
    "coverage",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def few_steps(cache: None) -> Iterator[None]:
    """Enough for nine of ten digits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_features, "STEPS", 150)
        yield


@pytest.fixture(scope="module")
def corpus(few_steps: None) -> ImageCorpus:
    return open_images("digits", ImageConfig(), labelled=True)


@pytest.fixture(scope="module")
def evaluation(corpus: ImageCorpus) -> ImageEvaluation:
    found = evaluation_of(corpus, CONFIG)
    assert isinstance(found, ImageEvaluation)
    return found


class Album(Game):
    """Shows training images; of categories in turn, or of one of them only."""

    data = "labelled_images"

    def __init__(self, corpus: ImageCorpus, only: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        categories = corpus.train.categories()
        self.images, self.only = corpus.train.images(), only
        self.places = [(categories == k).nonzero().squeeze(1) for k in range(10)]

    def sample(self, n: int, category: int | None = None) -> Tensor:  # type: ignore[override]
        chosen = [self.places[i % 10 if self.only is None else self.only] for i in range(n)]
        return torch.stack([self.images[places[i // 10 % len(places)]] for i, places in enumerate(chosen)])


class Decoder(Album):
    """An album whose images also follow from latent vectors: their first number is the level of grey."""

    def latents(self, n: int) -> Tensor:
        return on_sphere(torch.randn(n, 4))

    def decode(self, latents: Tensor, category: Tensor) -> Tensor:
        return (latents[:, :1, None, None] / 2).expand(-1, 1, 8, 8)

    def sheets(self) -> dict[str, Tensor]:
        return {"mine": torch.zeros(2, 3, 1, 8, 8)}


def test_real_images_have_a_floor_and_noise_is_far_from_it(evaluation: ImageEvaluation) -> None:
    controls = evaluation.controls()
    real, noise = controls["real"], controls["random"]
    assert set(noise) == FEATURES | FINAL
    assert set(real) >= FEATURES | FINAL | {"category-accuracy", "category-accuracy-7"}
    assert noise["frechet-distance"].value > 10 * real["frechet-distance"].value
    assert real["category-accuracy"].value > 0.9
    assert real["modes-covered"].value == 1
    assert real["inception-score"].value > 5


def test_training_images_are_the_floor_for_as_many_samples(evaluation: ImageEvaluation, corpus: ImageCorpus) -> None:
    score = evaluation.controls()["training"]["frechet-distance"]
    images = corpus.train.images(CONFIG.final_samples)
    assert score.value == evaluation.scores_of(images, "test")["frechet-distance"].value
    assert f"|samples:{CONFIG.final_samples}|" in score.signature


def test_every_signature_names_the_classifier(evaluation: ImageEvaluation) -> None:
    for name, score in evaluation.controls()["real"].items():
        assert ":cnn64.categories.digits." in score.signature, name


def test_training_images_are_measured_as_real_ones(evaluation: ImageEvaluation, corpus: ImageCorpus) -> None:
    measured = evaluation.measure(Album(corpus), ends_stage=False)
    assert set(measured.values) == FEATURES | {"category-accuracy", *(f"category-accuracy-{k}" for k in range(10))}
    assert measured.values["category-accuracy"] > 0.9
    assert measured.values["modes-covered"] == 1
    metrics, sheet = measured.records
    assert (metrics["kind"], sheet["kind"], sheet["name"]) == ("metrics", "sheet", "")
    shown = Image.open(io.BytesIO(sheet["picture"]))
    assert shown.size == (3 * 50 + 2, 3 * 50 + 2)


def test_one_digit_alone_is_seen(evaluation: ImageEvaluation, corpus: ImageCorpus) -> None:
    all_of_them = evaluation.measure(Album(corpus), ends_stage=False).values
    threes = evaluation.measure(Album(corpus, only=3), ends_stage=False).values
    assert threes["modes-covered"] <= 0.3
    assert threes["class-entropy"] < 0.5 * all_of_them["class-entropy"]
    assert threes["category-accuracy"] < 0.2
    assert threes["frechet-distance"] > 3 * all_of_them["frechet-distance"]


def test_the_end_of_a_stage_has_test_scores_and_sheets(evaluation: ImageEvaluation, corpus: ImageCorpus) -> None:
    records = evaluation.measure(Decoder(corpus), ends_stage=True).records
    assert [(r["kind"], r.get("name")) for r in records] == [
        ("metrics", None),
        ("sheet", ""),
        ("test", None),
        ("sheet", "real"),
        ("sheet", "interpolation"),
        ("sheet", "mine"),
    ]
    assert set(records[2]["scores"]) >= FEATURES | FINAL
    assert Image.open(io.BytesIO(records[5]["picture"])).size == (3 * 50 + 2, 2 * 50 + 2)


class Sorted(Album):
    """An album that finds a category in each image: the digit, counted from 3 on; or none."""

    def __init__(self, corpus: ImageCorpus, look: Callable[[Tensor], tuple[object, np.ndarray]] | None) -> None:
        super().__init__(corpus)
        self.look = look

    def codes_of(self, images: Tensor) -> Tensor:
        if self.look is None:
            return torch.zeros(len(images), dtype=torch.int64)
        return (torch.from_numpy(self.look(images)[1].argmax(1)) + 3) % 10


def test_categories_that_a_game_finds_are_matched_with_those_of_real_and_of_generated_images(
    evaluation: ImageEvaluation, corpus: ImageCorpus
) -> None:
    scores = evaluation.test_scores(Sorted(corpus, evaluation.look))
    assert (scores["code-match"].value, scores["code-match-fake"].value) == (1, 1)
    blind = evaluation.test_scores(Sorted(corpus, None))
    assert 0.05 < blind["code-match"].value < 0.2
    assert "code-match" not in evaluation.test_scores(Album(corpus))


class Judge(Album):
    """An album that has a quality: how many of the first three held-out categories are even."""

    def held_out_scores(self, real: LabelledImages) -> dict[str, float]:
        return {"evenness": (real.category[:3] % 2 == 0).float().sum().item()}


def test_a_games_own_scores_are_of_the_test_split(evaluation: ImageEvaluation, corpus: ImageCorpus) -> None:
    score = evaluation.test_scores(Judge(corpus))["evenness"]
    test = corpus.test.categories(CONFIG.references)
    assert score.value == (test[:3] % 2 == 0).sum()
    assert score.signature == f"evenness|images:{len(test)}|version:1"


def test_the_watch_has_the_scale_of_real_images(evaluation: ImageEvaluation) -> None:
    watched = evaluation.watched()
    assert watched["class-entropy"] > 2
    assert watched["feature-spread"] > 0


def test_without_categories_the_classifier_learns_turns(few_steps: None, tmp_path: Path) -> None:
    for k, picture in enumerate(islice(digits(), 300)):
        Image.fromarray(picture.pixels[:, :, 0]).save(tmp_path / f"{k}.png")
    plain = open_images(str(tmp_path), ImageConfig(valid=0.2, test=0.2), labelled=False)
    controls = evaluation_of(plain, CONFIG).controls()
    assert ":cnn64.turns." in controls["real"]["frechet-distance"].signature
    assert "class-entropy" not in controls["real"]
    assert controls["random"]["frechet-distance"].value > 3 * controls["real"]["frechet-distance"].value


class Eraser(Game):
    """Makes what it is told to of what it is given."""

    data = "image_pairs"

    def __init__(self, make: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.make = make

    def sample(self, n: int, source: Tensor) -> Tensor:  # type: ignore[override]
        return self.make(source)


class TestPairs:
    def test_the_source_scores_as_the_control_and_the_truth_perfectly(self) -> None:
        corpus = open_pairs("digits", PairConfig(source="hole"))
        evaluation = evaluation_of(corpus, CONFIG)
        controls = evaluation.controls()
        copied = evaluation.test_scores(Eraser(lambda source: source))
        assert copied["mae"].value == pytest.approx(controls["source"]["mae"].value)
        assert copied["mae"].value < controls["mean"]["mae"].value
        truth = corpus.test.pairs(CONFIG.references).target[: CONFIG.final_samples]
        perfect = evaluation.test_scores(Eraser(lambda source: truth[: len(source)]))
        assert (perfect["mae"].value, perfect["psnr"].value) == (0, 100)

    def test_a_smaller_source_is_enlarged_for_the_control(self) -> None:
        evaluation = evaluation_of(open_pairs("digits", PairConfig(source="half")), CONFIG)
        assert evaluation.controls()["source"]["mae"].value < evaluation.controls()["mean"]["mae"].value

    def test_a_sheet_has_source_made_and_truth_beside_each_other(self) -> None:
        evaluation = evaluation_of(open_pairs("digits", PairConfig(source="hole")), CONFIG)
        records = evaluation.measure(Eraser(torch.zeros_like), ends_stage=True).records
        assert [r["kind"] for r in records] == ["metrics", "sheet", "test"]
        shown = Image.open(io.BytesIO(records[1]["picture"]))
        assert shown.size[0] == 6 * 50 + 2
        assert shown.getpixel((2 + 50 + 20, 20)) == 128


class TestDomains:
    def test_a_perfect_translation_is_known_where_the_truth_is(self) -> None:
        evaluation = evaluation_of(open_domains("digits", UnpairedConfig(other="negative")), CONFIG)
        controls = evaluation.controls()
        perfect = evaluation.test_scores(Eraser(lambda images: -images))
        assert perfect["mae"].value == 0
        assert perfect["frechet-distance"].value == pytest.approx(controls["truth"]["frechet-distance"].value)
        copied = evaluation.test_scores(Eraser(lambda images: images))
        assert copied["frechet-distance"].value > 20 * perfect["frechet-distance"].value
        assert copied["1nn-accuracy"].value > 0.95 > perfect["1nn-accuracy"].value
