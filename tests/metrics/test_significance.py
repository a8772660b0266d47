"""The bootstrap against sacreBLEU called by hand and against normal theory; the interval against tables of t."""

import os
import random

import numpy as np
import pytest
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest
from scipy import stats

from textgan.errors import UserError
from textgan.metrics.overlap import corpus_bleu
from textgan.metrics.significance import interval, paired_bootstrap, paired_bootstrap_means

WORDS = [*map(str, range(20))]


@pytest.fixture(scope="module")
def references():
    rng = random.Random(0)
    return [rng.choices(WORDS, k=rng.randint(5, 12)) for _ in range(80)]


@pytest.fixture(scope="module")
def systems(references):
    """Systems that get a word wrong now and then, and often."""
    rng = random.Random(1)

    def with_errors(share):
        return [[word if rng.random() > share else rng.choice(WORDS) for word in words] for words in references]

    return {"worse": with_errors(0.5), "base": with_errors(0.2), "alike": with_errors(0.2)}


def test_paired_bootstrap_is_sacrebleus_own(systems, references, monkeypatch):
    table = paired_bootstrap(systems, "base", references, n=50, seed=7)
    monkeypatch.setenv("SACREBLEU_SEED", "7")
    names = ["base", "worse", "alike"]
    named = [(name, [" ".join(words) for words in systems[name]]) for name in names]
    metrics = {"BLEU": BLEU(tokenize="none", smooth_method="none", force=True)}
    _, gold = PairedTest(named, metrics, [[" ".join(words) for words in references]], "bs", 50)()
    assert list(table) == names
    for row, result in zip(table.values(), gold["BLEU"], strict=True):
        assert (row.score.value, row.half_width, row.p) == (result.score, result.ci, result.p_value)


def test_paired_bootstrap_tells_a_worse_system_from_one_alike(systems, references):
    table = paired_bootstrap(systems, "base", references, n=100)
    assert table["base"].p is None
    assert table["worse"].p < 0.05 < table["alike"].p
    assert table["worse"].score.value == pytest.approx(corpus_bleu(systems["worse"], references).value)
    assert "bs:100" in table["worse"].score.signature
    assert "seed:12345" in table["worse"].score.signature


@pytest.mark.parametrize("before", [None, "3"])
def test_paired_bootstrap_leaves_the_environment_as_it_was(systems, references, monkeypatch, before):
    monkeypatch.delenv("SACREBLEU_SEED", raising=False)
    if before is not None:
        monkeypatch.setenv("SACREBLEU_SEED", before)
    paired_bootstrap({"base": systems["base"]}, "base", references, n=2, seed=9)
    assert os.environ.get("SACREBLEU_SEED") == before


def test_paired_bootstrap_refuses_what_it_cannot_compare(systems, references):
    with pytest.raises(UserError, match="baseline is 'none'; accepted: one of the systems 'worse', 'base', 'alike'"):
        paired_bootstrap(systems, "none", references)
    with pytest.raises(UserError, match="seed is 0; it must be at least 1"):
        paired_bootstrap(systems, "base", references, seed=0)
    with pytest.raises(UserError, match="the paired bootstrap of 'base' must be the same"):
        paired_bootstrap({"base": systems["base"][1:]}, "base", references)


def test_bootstrap_of_means_comes_near_normal_theory():
    rng = np.random.default_rng(0)
    b = rng.normal(size=400)
    a = b + rng.normal(0.05, 0.5, size=400)  # paired: the common part does not count
    difference = paired_bootstrap_means(a, b, seed=1)
    error = (a - b).std() / 20
    assert difference.value == pytest.approx(a.mean() - b.mean())
    assert difference.low == pytest.approx(difference.value - 1.96 * error, abs=0.1 * error)
    assert difference.high == pytest.approx(difference.value + 1.96 * error, abs=0.1 * error)
    assert difference.p == pytest.approx(2 * stats.norm.sf(abs(difference.value) / error), abs=0.02)


def test_bootstrap_of_means_is_fair_where_there_is_no_difference():
    rng = np.random.default_rng(0)
    p = [paired_bootstrap_means(*rng.normal(size=(2, 60)), seed=i, n=200).p for i in range(200)]
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.06)


def test_bootstrap_of_means_of_no_and_of_a_constant_difference():
    assert paired_bootstrap_means([1, 2, 3], [1, 2, 3]).p == 1
    constant = paired_bootstrap_means([2, 3, 4], [1, 2, 3], n=99)
    assert (constant.value, constant.low, constant.high, constant.p) == (1, 1, 1, 1 / 100)


def test_bootstrap_of_means_follows_its_seed():
    a, b = [1.0, 5.0, 2.0, 8.0], [2.0, 2.0, 2.0, 2.0]
    assert paired_bootstrap_means(a, b, seed=3) == paired_bootstrap_means(a, b, seed=3)
    assert paired_bootstrap_means(a, b, seed=3) != paired_bootstrap_means(a, b, seed=4)


def test_interval_is_students():
    # t_{0.975, 2} = 4.303, s = 1; t_{0.975, 4} = 2.776
    assert interval([1, 2, 3]) == pytest.approx((2, 4.303 / 3**0.5), abs=1e-3)
    values = [0.3, 0.1, 0.4, 0.1, 0.5]
    mean, half = interval(values)
    assert half == pytest.approx(2.776 * np.std(values, ddof=1) / 5**0.5, abs=1e-4)
    assert mean == pytest.approx(0.28)
    assert interval([2.0, 2.0]) == (2, 0)


def test_too_few_or_infinite_numbers_are_refused():
    with pytest.raises(UserError, match=r"the number of values \(=1\) must be at least 2"):
        interval([1.0])
    with pytest.raises(UserError, match="one of values is nan; accepted: finite numbers"):
        interval([1.0, float("nan")])
    with pytest.raises(UserError, match=r"a \(=2\) and of b \(=3\) must be the same"):
        paired_bootstrap_means([1, 2], [1, 2, 3])
    with pytest.raises(UserError, match="n is 0; it must be at least 1"):
        paired_bootstrap_means([1, 2], [1, 2], n=0)
