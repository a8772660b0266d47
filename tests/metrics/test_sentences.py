"""N-gram tables against counting with `collections.Counter`."""

from collections import Counter

import numpy as np
import pytest

from textgan.errors import UserError
from textgan.metrics.sentences import Sentences, as_sentences, highest_order

TEXT = ["a b a b a", "b a b", "", "c", "a a a a a a a", "b a b"]
SENTENCES = [line.split() for line in TEXT]


def ngrams(sentence, n):
    return [tuple(sentence[i : i + n]) for i in range(len(sentence) - n + 1)]


def decoded(sentences, n):
    """The words of each n-gram of `sentences`, by id."""
    words = list(sentences.vocabulary)
    shorter = decoded(sentences, n - 1) if n > 1 else [()]
    return [(*shorter[key // sentences.base], words[key % sentences.base]) for key in sentences.orders[n - 1].keys]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_runs_are_the_counts_of_each_sentence(n):
    counted = Sentences(SENTENCES)
    order = counted.orders[n - 1]
    names = decoded(counted, n)
    runs = {(names[i], int(s)): int(c) for i, s, c in zip(order.ngram, order.sentence, order.count, strict=True)}
    expected = {(ngram, i): c for i, words in enumerate(SENTENCES) for ngram, c in Counter(ngrams(words, n)).items()}
    assert runs == expected
    assert counted.total(n) == sum(expected.values())


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_largest_counts_with_and_without_the_sentence_itself(n):
    counted = Sentences(SENTENCES)
    order = counted.orders[n - 1]
    names = decoded(counted, n)
    counts = [Counter(ngrams(words, n)) for words in SENTENCES]
    assert order.largest().tolist() == [max(count[name] for count in counts) for name in names]
    assert order.largest_elsewhere().tolist() == [
        max(count[names[i]] for j, count in enumerate(counts) if j != sentence)
        for i, sentence in zip(order.ngram, order.sentence, strict=True)
    ]


def test_ids_do_not_overflow_where_the_fifth_power_of_the_vocabulary_does():
    size = 20_000
    assert size**5 > np.iinfo(np.int64).max
    counted = Sentences([[size - i for i in range(size)], list(range(size, 0, -1))])
    assert [len(order.keys) for order in counted.orders] == [size - n for n in range(5)]
    assert (counted.orders[4].largest_elsewhere() == 1).all()


def test_find_gives_places_and_the_number_of_ngrams_for_what_is_missing():
    order = Sentences(SENTENCES).orders[1]
    size, missing = len(order.keys), max(order.keys) + 1
    assert order.find(np.array([order.keys[1], missing, order.keys[0], -1])).tolist() == [1, size, 0, size]


def test_sentences_without_words_have_no_ngrams():
    counted = Sentences([[], []])
    assert [len(order.keys) for order in counted.orders] == [0] * 5
    assert counted.orders[0].largest_elsewhere().tolist() == []
    assert counted.token_kind is None


def test_ngrams_are_counted_once():
    counted = Sentences(SENTENCES, highest=3)
    assert as_sentences(counted, 3) is counted
    with pytest.raises(UserError, match=r"\(=4\) must be at most 3"):
        as_sentences(counted, 4)


def test_numpy_integers_are_the_same_words_as_python_integers():
    assert Sentences([[np.int64(7), 7]]).vocabulary == {7: 0}


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ([], "no sentences"),
        (["a man"], "plain string"),
        ([["a", 1]], "both str and int"),
        ([[1.5]], "a token is a float"),
    ],
)
def test_unusable_sentences_are_refused_in_one_line(sentences, message):
    with pytest.raises(UserError, match=message) as error:
        Sentences(sentences)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("orders", [(), (0, 2), (-1,)])
def test_orders_must_be_numbers_from_1_up(orders):
    with pytest.raises(UserError, match="orders of n-grams"):
        highest_order(orders)
