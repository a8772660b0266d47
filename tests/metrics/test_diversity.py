"""Diversity metrics against values by hand and closed forms."""

import math
import random

import numpy as np
import pytest

from textgan.errors import UserError
from textgan.metrics.base import VERSION
from textgan.metrics.diversity import (
    distinct,
    entropy,
    length,
    novelty,
    novelty_of_hashes,
    repetition,
    sentence_set,
    text_scores,
    unique,
)
from textgan.metrics.ngram import bleu, self_bleu
from textgan.metrics.sentences import Sentences, merged

SAMPLES = [line.split() for line in ["a b a b a b", "a b c", "a b c", "", "d"]]


@pytest.mark.parametrize(("n", "value"), [(1, 4 / 13), (2, 3 / 9), (3, 3 / 6), (4, 2 / 3), (5, 2 / 2)])
def test_distinct_is_different_ngrams_over_all_ngrams(n, value):
    assert distinct(SAMPLES, n).value == pytest.approx(value)


def test_unique_and_novelty_are_shares_of_sentences():
    train = sentence_set([["a", "b", "c"], ["x"]])
    assert unique(SAMPLES).value == 4 / 5
    assert novelty(SAMPLES, train).value == 3 / 5
    assert novelty([[1, 2], [3]], sentence_set([[1, 2]])).value == 1 / 2


def test_repetition_is_the_mean_over_sentences_that_are_long_enough():
    # "a b a b a b": 3 4-grams, 2 different; "w x y z": 1 of 1; "a b" has none
    sentences = [line.split() for line in ["a b a b a b", "w x y z", "a b"]]
    assert repetition(sentences).value == pytest.approx((1 / 3 + 0) / 2)
    assert repetition(sentences, n=2).value == pytest.approx((3 / 5 + 0 + 0) / 3)
    assert "samples:3" in repetition(sentences).signature


def test_repetition_does_not_count_what_other_sentences_say():
    assert repetition([list("abcd")] * 10).value == 0


def test_entropy_of_equally_frequent_words_is_the_logarithm_of_their_number():
    assert entropy([list("abcd"), list("efgh")]).value == pytest.approx(math.log(8))
    assert str(entropy([["a", "a"], ["a"]]).value) == "0.0"  # and not -0.0
    assert entropy([list("aab")]).value == pytest.approx(math.log(3) - 2 / 3 * math.log(2))


def test_length_is_the_mean_number_of_tokens():
    assert length(SAMPLES).value == 13 / 5


def test_text_scores_come_in_a_stable_order_and_equal_each_metric():
    references, train = [["a", "b", "c", "d"], ["d"]], sentence_set([["d"]])
    scores = text_scores(SAMPLES, references, train, tokenizer="t")
    assert list(scores) == [
        *(f"bleu-{n}" for n in (2, 3, 4, 5)),
        *(f"self-bleu-{n}" for n in (2, 3, 4, 5)),
        *(f"distinct-{n}" for n in (1, 2, 3, 4)),
        *("unique", "novelty", "repetition", "entropy", "length"),
    ]
    expected = bleu(SAMPLES, references, tokenizer="t") | self_bleu(SAMPLES, tokenizer="t")
    expected |= {f"distinct-{n}": distinct(SAMPLES, n, "t") for n in (1, 2, 3, 4)}
    expected |= {"unique": unique(SAMPLES, "t"), "novelty": novelty(SAMPLES, train, "t")}
    expected |= {metric.__name__: metric(SAMPLES, tokenizer="t") for metric in (repetition, entropy, length)}
    assert scores == expected


def test_text_scores_take_references_that_are_counted_already():
    references = [["a", "b", "c", "d"], ["d"]]
    assert text_scores(SAMPLES, Sentences(references)) == text_scores(SAMPLES, references)


@pytest.mark.parametrize("seed", range(20))
def test_every_score_of_merged_parts_is_that_of_the_whole_to_the_last_bit(seed):
    rng = random.Random(seed)

    def drawn(size, words):
        return [rng.choices(words, k=rng.randrange(10)) for _ in range(size)]

    shards = [drawn(rng.randrange(8), words) for words in (list("abc"), list("abcdefgh"), list("xyz"), list("abc"))]
    shards.append(shards[1])  # duplicates
    references, train = drawn(10, list("abcxy")), sentence_set(drawn(50, list("abc")))
    parts = [Sentences.from_arrays(Sentences(shard, part=True).arrays()) for shard in shards]
    whole = text_scores([words for shard in shards for words in shard], references, train)
    assert {"bleu-5", "self-bleu-5", "unique", "novelty", "entropy", "length"} <= whole.keys()
    assert text_scores(merged(parts), references, train) == whole
    parts_of_references = [Sentences(references[:4]), Sentences(references[4:])]
    assert text_scores(merged(parts), merged(parts_of_references), train) == whole


def test_novelty_of_hashes_is_the_share_that_is_not_among_them():
    rng = np.random.default_rng(0)
    for size in (1, 2, 50):
        train, sample = np.unique(rng.integers(-20, 20, size)), rng.integers(-25, 25, 30)
        assert novelty_of_hashes(sample, train).value == np.mean([i not in train for i in sample])
    assert novelty_of_hashes(sample, train[:0]).value == 1


def test_what_does_not_exist_is_absent():
    assert list(text_scores([["a", "b"]])) == ["distinct-1", "distinct-2", "unique", "entropy", "length"]
    assert list(text_scores([[]])) == ["unique", "length"]


def test_every_signature_tells_size_tokenizer_and_version():
    for score in text_scores(SAMPLES, SAMPLES, sentence_set(SAMPLES), tokenizer="treebank").values():
        assert "samples:" in score.signature
        assert score.signature.endswith(f"|tokenizer:treebank|version:{VERSION}")


def test_signatures_of_different_metrics_differ():
    signatures = [score.signature for score in text_scores(SAMPLES, SAMPLES, sentence_set(SAMPLES)).values()]
    assert len(set(signatures)) == len(signatures)


@pytest.mark.parametrize("metric", [unique, length, entropy, repetition, text_scores])
def test_an_empty_sample_is_refused(metric):
    with pytest.raises(UserError, match="there are no sentences"):
        metric([])


def test_novelty_of_an_empty_sample_is_refused():
    with pytest.raises(UserError, match="there are no sentences"):
        novelty([], frozenset())


@pytest.mark.parametrize("metric", [entropy, repetition, lambda sample: distinct(sample, 1)])
def test_a_value_that_does_not_exist_is_refused_by_name(metric):
    with pytest.raises(UserError, match="the longest sentence has 0 tokens"):
        metric([[], []])
