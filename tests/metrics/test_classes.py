"""Scores of what a classifier takes images for, against hand computation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from textgan.errors import UserError
from textgan.metrics.classes import category_accuracy, class_scores, code_match, inception_score, mode_score


def sure(*classes: int, of: int = 4) -> np.ndarray:
    return np.eye(of)[list(classes)]


def test_sure_and_varied_images_have_as_many_as_there_are_classes() -> None:
    assert inception_score(sure(0, 1, 2, 3), "c").value == pytest.approx(4)


def test_images_of_one_class_have_one() -> None:
    assert inception_score(sure(2, 2, 2), "c").value == pytest.approx(1)
    assert inception_score(np.full((5, 4), 0.25), "c").value == pytest.approx(1)


def test_the_inception_score_is_its_formula() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    mean = p.mean(0)
    by_hand = math.exp(sum(sum(x * math.log(x / m) for x, m in zip(row, mean, strict=True)) for row in p) / 50)
    assert inception_score(p, "c").value == pytest.approx(by_hand)


def test_the_mode_score_falls_where_classes_are_missing_and_the_inception_score_does_not_see_which() -> None:
    real = np.array([0.5, 0.5, 1e-9, 1e-9])
    right, wrong = sure(0, 1), sure(2, 3)
    assert inception_score(right, "c").value == pytest.approx(inception_score(wrong, "c").value)
    assert mode_score(right, real, "c").value == pytest.approx(2, rel=1e-6)
    assert mode_score(wrong, real, "c").value < 0.01


def test_class_scores_by_hand() -> None:
    real = sure(0, 0, 1, 1, 2, 2, 3, 3)
    fake = sure(0, 0, 0, 1)
    found = class_scores(fake, real, "net")
    assert found["class-entropy"].value == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert found["class-divergence"].value == pytest.approx(0.75 * math.log(3))
    assert found["modes-covered"].value == 0.5
    assert found["modes-covered"].signature == "modes-covered|of:4|least:0.1|samples:4|classifier:net|version:1"


def test_a_class_counts_as_covered_from_a_tenth_of_its_share() -> None:
    real = sure(*[0, 1] * 10)
    fake = sure(*[0] * 95, *[1] * 5)
    assert class_scores(fake, real, "c")["modes-covered"].value == 1
    fake = sure(*[0] * 96, *[1] * 4)
    assert class_scores(fake, real, "c")["modes-covered"].value == 0.5


def test_classes_that_real_images_never_have_are_not_asked_for() -> None:
    found = class_scores(sure(0, 1), sure(0, 1, 1), "c")
    assert found["modes-covered"].value == 1


def test_accuracy_of_all_and_of_each_category() -> None:
    found = category_accuracy(sure(0, 1, 1, 2), np.array([0, 0, 1, 2]), ("a", "b", "c", "d"), "net")
    values = {name: score.value for name, score in found.items()}
    assert values == {
        "category-accuracy": 0.75,
        "category-accuracy-a": 0.5,
        "category-accuracy-b": 1.0,
        "category-accuracy-c": 1.0,
    }


def test_no_image_is_refused() -> None:
    with pytest.raises(UserError, match=r"inception-score: probabilities have the shape \(0, 3\)"):
        inception_score(np.zeros((0, 3)), "c")


def test_codes_are_matched_with_classes_as_well_as_can_be() -> None:
    generator = np.random.default_rng(0)
    codes, classes = generator.integers(0, 3, 40), generator.integers(0, 4, 40)
    best = max(
        np.mean([match[code] == a_class for code, a_class in zip(codes, classes, strict=True)])
        for match in itertools.permutations(range(4), 3)
    )
    found = code_match(sure(*classes), codes, "code-match", "net")
    assert found.value == pytest.approx(best)
    assert found.signature == "code-match|values:3|samples:40|classifier:net|version:1"


def test_codes_that_are_classes_by_other_numbers_match_wholly() -> None:
    classes = np.array([0, 1, 2, 3, 3, 1])
    assert code_match(sure(*classes), (classes + 1) % 4, "code-match", "net").value == 1
