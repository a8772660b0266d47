from __future__ import annotations

from pathlib import Path

import pytest

from textgan.collapse import TEXT_LIMITS, CollapseWatch, Limit, Rise
from textgan.data.corpus import open_corpus
from textgan.data.settings import DataConfig
from textgan.evaluation import EvaluationConfig, evaluation_of
from textgan.metrics import text_scores

UNIQUE = Limit("unique", worst=0.0, fraction=0.5)


def test_a_limit_lies_between_real_data_and_the_worst():
    assert UNIQUE.threshold(0.8) == 0.4
    assert Limit("self-bleu-3", worst=1.0, fraction=0.5).threshold(0.2) == pytest.approx(0.6)


def test_too_little_variety_warns_with_the_numbers():
    watch = CollapseWatch({"unique": 0.8}, [UNIQUE], [])
    assert watch.check({"unique": 0.5}) == []
    assert watch.check({"unique": 0.3}) == ["unique is 0.300; real data has 0.800, the limit is 0.400"]


def test_too_much_sameness_warns():
    watch = CollapseWatch({"self-bleu-3": 0.2}, [Limit("self-bleu-3", worst=1.0, fraction=0.5)], [])
    assert watch.check({"self-bleu-3": 0.5}) == []
    assert len(watch.check({"self-bleu-3": 0.7})) == 1


def test_a_generator_that_was_never_varied_has_not_collapsed():
    watch = CollapseWatch({"unique": 0.8}, [UNIQUE], [])
    assert watch.check({"unique": 0.1}) == []
    assert watch.check({"unique": 0.7}) == []
    assert len(watch.check({"unique": 0.1})) == 1


def test_forgetting_held_out_text_warns():
    watch = CollapseWatch({}, [], [Rise("nll-valid", by=1.0)])
    warned = [len(watch.check({"nll-valid": value})) for value in (9.0, 5.0, 5.9, 6.1, 4.0, 4.9, 5.1)]
    assert warned == [0, 0, 0, 1, 0, 0, 1]


def test_what_is_not_a_number_keeps_no_limit():
    watch = CollapseWatch({"unique": 0.8}, [UNIQUE], [Rise("nll-valid", by=1.0)])
    nan, inf = float("nan"), float("inf")
    assert watch.check({"unique": nan, "nll-valid": nan}) == []  # no limit is armed yet, and none by this
    assert watch.check({"unique": 0.1, "nll-valid": 9.0}) == []
    assert watch.check({"unique": 0.7, "nll-valid": 5.0}) == []
    assert len(watch.check({"unique": nan, "nll-valid": nan})) == 2
    assert len(watch.check({"unique": 0.7, "nll-valid": inf})) == 1
    assert watch.check({"unique": 0.7, "nll-valid": 5.9}) == []


def test_a_measurement_that_breaks_one_limit_arms_no_other_and_lowers_nothing():
    """Or the networks before it, which are gone back to, might themselves be beyond a limit."""
    watch = CollapseWatch(
        {"unique": 0.8, "entropy": 5.0}, [UNIQUE, Limit("entropy", worst=0.0)], [Rise("nll-valid", by=1.0)]
    )
    good = {"unique": 0.7, "entropy": 2.0, "nll-valid": 5.0}
    assert watch.check(good) == []
    assert len(watch.check({"unique": 0.1, "entropy": 4.0, "nll-valid": 3.0})) == 1
    assert watch.check(good) == []


def test_the_watch_resumes_where_it_was():
    one = CollapseWatch({"unique": 0.8}, [UNIQUE], [Rise("nll-valid", by=1.0)])
    one.check({"unique": 0.7, "nll-valid": 5.0})
    other = CollapseWatch({"unique": 0.8}, [UNIQUE], [Rise("nll-valid", by=1.0)])
    other.load_state_dict(one.state_dict())
    assert len(other.check({"unique": 0.1, "nll-valid": 6.5})) == 2


def test_one_sentence_said_over_and_over_breaks_every_limit_on_text():
    real = {"unique": 0.99, "distinct-2": 0.6, "entropy": 5.5, "self-bleu-3": 0.35}
    watch = CollapseWatch(real, TEXT_LIMITS, [])
    watch.check(real)
    assert len(watch.check({"unique": 0.01, "distinct-2": 0.01, "entropy": 2.0, "self-bleu-3": 1.0})) == 4


def test_where_few_sentences_are_held_out_the_scale_is_that_of_as_many_real_ones_as_are_drawn(corpus_file: Path):
    """Of a sample larger than what it is held against, more repeats itself: that is no collapse."""
    corpus = open_corpus(str(corpus_file), DataConfig())
    every = [row.split() for row in corpus_file.read_text().splitlines()]
    held_out, real = len(corpus.valid), len(corpus.valid) + len(corpus.train)
    assert held_out < 50 < real < 180 == len(every)
    half = evaluation_of(corpus, EvaluationConfig(samples=50)).watched()
    assert half["unique"] == 1.0
    assert half["distinct-2"] < evaluation_of(corpus, EvaluationConfig(samples=held_out)).watched()["distinct-2"]
    twice = evaluation_of(corpus, EvaluationConfig(samples=2 * real)).watched()
    sentences = corpus.valid.sentences() + corpus.train.sentences()
    expected = text_scores(2 * sentences)
    assert twice["unique"] == 0.5
    for name in ("distinct-2", "entropy", "self-bleu-3"):
        assert twice[name] == pytest.approx(expected[name].value)
