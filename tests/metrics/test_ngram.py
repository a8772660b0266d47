"""BLEU and self-BLEU against NLTK, sentence by sentence, and against sacreBLEU."""

import random

import numpy as np
import pytest
import sacrebleu
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from textgan.errors import UserError
from textgan.metrics.ngram import ORDERS, bleu, bleu_per_sentence, self_bleu, self_bleu_per_sentence
from textgan.metrics.sentences import Sentences

WEIGHTS = [(1 / n,) * n for n in ORDERS]


def nltk_bleu(hypothesis, references):
    return sentence_bleu(references, hypothesis, WEIGHTS, SmoothingFunction().method1)


def nltk_self_bleu(sentences):
    return [nltk_bleu(words, sentences[:i] + sentences[i + 1 :]) for i, words in enumerate(sentences)]


def random_sentences(rng, words, size, longest):
    """Zipf-like words, so that n-grams repeat within and across sentences."""
    frequencies = [1 / rank for rank in range(1, len(words) + 1)]
    return [rng.choices(words, frequencies, k=rng.randint(0, longest)) for _ in range(size)]


def split(*lines):
    return [line.split() for line in lines]


def assert_equal(ours, reference):
    np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(60))
def test_equals_nltk_on_random_sentences(seed):
    rng = random.Random(seed)
    words = list("the a man on red été 自転車 🚲 of zebra"[: rng.randint(1, 33)].split())
    longest = rng.choice([2, 6, 15])
    references = random_sentences(rng, words, rng.randint(1, 12), longest)
    hypotheses = random_sentences(rng, [*words, "unknown"], rng.randint(2, 12), longest)
    assert_equal(bleu_per_sentence(hypotheses, references), [nltk_bleu(words, references) for words in hypotheses])
    assert_equal(self_bleu_per_sentence(hypotheses), nltk_self_bleu(hypotheses))


AWKWARD = {
    "duplicates": split("a man on a bike", "a man on a bike", "a dog"),
    "all identical": split(*["a man on a bike"] * 5),
    "shorter than n": split("a man", "a", "a man on", "a man on a"),
    "one word": split("a", "b", "a"),
    "an empty sentence": split("", "a man on a bike", "a man"),
    "only empty sentences": split("", ""),
    "nothing in common": split("a b c d e f", "g h i j k l"),
    "repetition": split("a a a a a a", "a a a", "a a b a a a a"),
    "equally close lengths": split("a b c", "a b c d e", "a b c d", "a b c x y z w"),
    "non-ASCII": split("ein Mädchen fährt", "ein Mädchen 自転車 fährt", "🚲 🚲"),
    "words that look alike": split("a\u0301 á", "á á", "ab a b"),
}


@pytest.mark.parametrize("hypotheses", AWKWARD.values(), ids=AWKWARD)
@pytest.mark.parametrize("references", AWKWARD.values(), ids=AWKWARD)
def test_bleu_equals_nltk_on_awkward_sentences(hypotheses, references):
    assert_equal(bleu_per_sentence(hypotheses, references), [nltk_bleu(words, references) for words in hypotheses])


@pytest.mark.parametrize("sentences", AWKWARD.values(), ids=AWKWARD)
def test_self_bleu_equals_nltk_on_awkward_sentences(sentences):
    assert_equal(self_bleu_per_sentence(sentences), nltk_self_bleu(sentences))


def test_bleu_4_equals_sacrebleu_where_no_count_is_zero():
    hypothesis = "the cat sat on the mat by the old door"
    references = ["the cat sat on the mat near the door", "a dog sat on the mat by the old red door today"]
    gold = sacrebleu.corpus_bleu(
        [hypothesis], [[line] for line in references], tokenize="none", smooth_method="none", force=True
    )
    assert min(gold.counts) > 0
    assert_equal(bleu_per_sentence(split(hypothesis), split(*references), [4]), [[gold.score / 100]])


def test_gold_value_by_hand():
    # precisions 3/4 and 1/3; 4 words against 5 (the closest): exp(1 - 5/4) sqrt(1/4)
    assert_equal(bleu_per_sentence(split("a b x c"), split("a b c d e"), [2]), [[np.exp(-0.25) * 0.5]])


def test_ids_give_the_same_as_words():
    sentences = split("a man on a bike", "a man on a horse", "the man")
    ids = {word: i for i, word in enumerate({word for words in sentences for word in words})}
    coded = [[ids[word] for word in words] for words in sentences]
    assert_equal(self_bleu_per_sentence(coded), self_bleu_per_sentence(sentences))
    assert_equal(bleu_per_sentence(coded[:1], coded[1:]), bleu_per_sentence(sentences[:1], sentences[1:]))


def test_counted_sentences_give_the_same_as_plain_ones_again_and_again():
    references, hypotheses = split("a man on a bike", "a dog"), split("a man on a dog", "a cat")
    counted = Sentences(references)
    for _ in range(2):
        assert_equal(bleu_per_sentence(Sentences(hypotheses), counted), bleu_per_sentence(hypotheses, references))


def test_orders_come_in_the_order_asked_for():
    hypotheses, references = split("a man on a bike"), split("a man on the bike")
    every = bleu_per_sentence(hypotheses, references)
    assert_equal(bleu_per_sentence(hypotheses, references, [5, 2]), every[:, [3, 0]])
    assert list(bleu(hypotheses, references, [5, 2])) == ["bleu-5", "bleu-2"]


def test_scores_are_means_with_signatures():
    hypotheses, references = split("a man on a bike", "a dog ran"), split("a man on the bike", "a dog", "x")
    scores = bleu(hypotheses, references, tokenizer="treebank")
    assert_equal([score.value for score in scores.values()], bleu_per_sentence(hypotheses, references).mean(axis=0))
    assert scores["bleu-4"].signature == (
        "bleu|n:4|smoothing:method1|samples:2|references:3|tokenizer:treebank|version:1"
    )
    own = self_bleu(references)
    assert_equal([score.value for score in own.values()], self_bleu_per_sentence(references).mean(axis=0))
    assert own["self-bleu-2"].signature == (
        "self-bleu|n:2|smoothing:method1|samples:3|references:2|tokenizer:whitespace|version:1"
    )


def test_self_bleu_needs_two_sentences():
    with pytest.raises(UserError, match=r"\(=1\) for self-BLEU must be at least 2"):
        self_bleu(split("a man"))


def test_words_are_not_compared_with_ids():
    with pytest.raises(UserError, match="tokens are str, the references' int"):
        bleu(split("a man"), [[1, 2]])
