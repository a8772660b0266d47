"""N-gram tables against counting with `collections.Counter`."""

import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from textgan.errors import UserError
from textgan.metrics.sentences import Sentences, as_sentences, highest_order, merged

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


def same(ours, theirs):
    """Whether two are equal in everything, array types included."""
    arrays, expected = ours.arrays(), theirs.arrays()
    assert arrays.keys() == expected.keys()
    for name, values in arrays.items():
        assert values.dtype == expected[name].dtype, name
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    assert list(ours.vocabulary.items()) == list(theirs.vocabulary.items())
    assert (ours.base, ours.token_kind, ours.plain()) == (theirs.base, theirs.token_kind, theirs.plain())


def parts_of(sentences, cuts, highest=5):
    """The sentences cut at these places, each part counted by itself and sent as arrays."""
    edges = [0, *cuts, len(sentences)]
    parts = [Sentences(sentences[a:b], highest, part=True) for a, b in pairwise(edges)]
    return [Sentences.from_arrays(part.arrays()) for part in parts]


def random_sentences(rng, words):
    return [rng.choices(words, k=rng.randrange(9)) for _ in range(rng.randrange(1, 30))]


@pytest.mark.parametrize("words", [["a", "été", "🚲", "b\udc80", ""], [7, -1, 2**40]], ids=["str", "int"])
def test_parts_of_a_sample_merge_to_the_whole(words):
    rng = random.Random(0)
    for _ in range(100):
        sentences = random_sentences(rng, words[: rng.randint(1, len(words))])
        cuts = sorted(rng.choices(range(len(sentences) + 1), k=rng.randrange(5)))
        same(merged(parts_of(sentences, cuts)), Sentences(sentences))


SHARDS = {
    "an empty part": [["a b a", "b c"], [], ["a b a"]],
    "no words in common": [["a b", "b a a"], ["x y", "y z"]],
    "the same sentences": [["a b a", "c"], ["a b a", "c"], ["c"]],
    "a part without words": [["", ""], ["a b"], [""]],
    "no words at all": [["", ""], [""]],
    "one part": [["a b a"]],
}


@pytest.mark.parametrize("shards", SHARDS.values(), ids=SHARDS)
def test_awkward_parts_merge_to_the_whole(shards):
    cut = [[line.split() for line in shard] for shard in shards]
    parts = [Sentences.from_arrays(Sentences(shard, part=True).arrays()) for shard in cut]
    whole = Sentences([words for shard in cut for words in shard])
    same(merged(parts), whole)
    same(merged([merged(parts[:1]), *parts[1:]]), whole)


def test_merged_ids_do_not_overflow_where_the_fifth_power_of_the_vocabulary_does():
    size = 20_000
    sentences = [[size - i for i in range(size)], list(range(size, 0, -1)), list(range(size))]
    same(merged(parts_of(sentences, [1, 2])), Sentences(sentences))


def test_sentences_are_given_back_and_told_apart():
    assert Sentences(SENTENCES).plain() == SENTENCES
    assert len(Sentences(SENTENCES).distinct()) == len({tuple(words) for words in SENTENCES})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (lambda: [], "no sentences"),
        (lambda: [Sentences([], part=True)] * 2, "no sentences"),
        (lambda: [Sentences([["a"]]), Sentences([[1]])], "both str and int"),
        (lambda: [Sentences([["a"]], 2), Sentences([["a"]], 5)], "counted to n = 2, 5; accepted: the same"),
    ],
)
def test_parts_that_are_no_sample_are_refused(parts, message):
    with pytest.raises(UserError, match=message):
        merged(parts())


def test_an_empty_part_is_no_sample():
    with pytest.raises(UserError, match="no sentences"):
        as_sentences(Sentences([], part=True), 1)
