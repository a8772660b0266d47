"""Corpus BLEU against NLTK and sacreBLEU, ROUGE-L against brute force, METEOR against NLTK and by hand."""

import math
import random
from itertools import combinations

import pytest
import sacrebleu
from nltk.stem.porter import PorterStemmer
from nltk.translate import bleu_score
from nltk.translate.meteor_score import single_meteor_score

from textgan.errors import UserError
from textgan.metrics.overlap import bleu_orders, common_subsequences, corpus_bleu, meteor, rouge_l


def split(*lines):
    return [line.split() for line in lines]


WORDS = split("the a man was very happy to see his old dog again and walked walking home .")[0]


def random_endings(rng, size, shortest):
    """Pairs that share words and n-grams: each hypothesis is its reference with words changed, added and dropped."""
    references = [rng.choices(WORDS, k=rng.randint(1, 14)) for _ in range(size)]
    hypotheses = [[word if rng.random() < 0.7 else rng.choice(WORDS) for word in words] for words in references]
    return [words[rng.randint(0, 2) :] + rng.choices(WORDS, k=shortest) for words in hypotheses], references


@pytest.mark.parametrize("seed", range(10))
def test_corpus_bleu_of_every_order_equals_nltk_and_sacrebleu(seed):
    # NLTK counts one n-gram in a hypothesis that is too short to have any
    hypotheses, references = random_endings(random.Random(seed), size=30, shortest=4)
    scores = bleu_orders(hypotheses, references)
    assert list(scores) == [f"corpus-bleu-{n}" for n in (1, 2, 3, 4)]
    for n in (1, 2, 3, 4):
        value = scores[f"corpus-bleu-{n}"].value
        nltk = bleu_score.corpus_bleu([[words] for words in references], hypotheses, (1 / n,) * n)
        gold = sacrebleu.BLEU(tokenize="none", smooth_method="none", max_ngram_order=n, force=True)
        lines = [" ".join(words) for words in hypotheses]
        assert value == pytest.approx(100 * nltk, abs=1e-9)
        assert value == pytest.approx(gold.corpus_score(lines, [[" ".join(words) for words in references]]).score)
        assert value > 0
        assert corpus_bleu(hypotheses, references, n) == scores[f"corpus-bleu-{n}"]


def test_corpus_bleu_sums_over_the_corpus_before_it_divides():
    # words: 2 of 2 + 1 of 4; pairs: 1 of 1 + 0 of 3; 6 words against 8
    hypotheses, references = split("a b", "c x y z"), split("a b", "c d e f g h")
    brevity = math.exp(1 - 8 / 6)
    scores = bleu_orders(hypotheses, references, (1, 2))
    assert scores["corpus-bleu-1"].value == pytest.approx(100 * brevity * 3 / 6)
    assert scores["corpus-bleu-2"].value == pytest.approx(100 * brevity * math.sqrt(3 / 6 * 1 / 4))


def test_corpus_bleu_is_0_where_no_ngram_matches_and_100_of_the_references_themselves():
    assert corpus_bleu(split("a b c d"), split("a c b d")).value == 0
    assert corpus_bleu(split("a b c d ."), split("a b c d .")).value == pytest.approx(100)
    assert corpus_bleu([[], []], split("a b", "c")).value == 0


def test_corpus_bleu_carries_sacrebleus_signature():
    signature = corpus_bleu(split("a b"), split("a b"), 2, tokenizer="word").signature
    assert signature.startswith(
        "corpus-bleu|n:2|samples:1|tokenizer:word|sacrebleu:nrefs:1,case:mixed,eff:no,tok:none,"
    )
    assert f"smooth:none,version:{sacrebleu.__version__}" in signature


@pytest.mark.parametrize("word", ["", "a b", " "])
def test_bleu_refuses_words_that_a_line_would_not_keep(word):
    with pytest.raises(UserError, match=r"white space"):
        corpus_bleu([["a", word]], split("a b"))


def brute_force_lcs(a, b):
    def is_subsequence(words):
        rest = iter(b)
        return all(word in rest for word in words)

    return max(n for n in range(len(a) + 1) if any(map(is_subsequence, combinations(a, n))))


@pytest.mark.parametrize("seed", range(5))
def test_longest_common_subsequences_equal_brute_force(seed):
    rng = random.Random(seed)
    pairs = [[rng.choices("abcd", k=rng.randint(0, 9)) for _ in range(2)] for _ in range(60)]
    ours, theirs = zip(*pairs, strict=True)
    assert common_subsequences(ours, theirs).tolist() == [brute_force_lcs(a, b) for a, b in pairs]


def test_rouge_l_is_the_mean_f1():
    # LCS "police the gunman" of 4 and 4 words; "a" of 1 and 3; nothing
    hypotheses = split("police kill the gunman", "a", "x y")
    references = split("police killed the gunman", "b a c", "z")
    assert rouge_l(hypotheses, references).value == pytest.approx((3 / 4 + 2 * 1 * (1 / 3) / (1 + 1 / 3) + 0) / 3)


def test_rouge_l_of_empty_endings_is_0():
    assert rouge_l([[], [], ["a"]], [[], ["a"], []]).value == 0
    assert rouge_l([[]], [[]]).value == 0


class NoWordNet:
    def synsets(self, word):
        return []


def test_meteor_equals_nltk():
    hypotheses, references = random_endings(random.Random(0), size=40, shortest=0)
    gold = [
        single_meteor_score(theirs, ours, stemmer=PorterStemmer(), wordnet=NoWordNet())
        for ours, theirs in zip(hypotheses, references, strict=True)
    ]
    assert meteor(hypotheses, references).value == pytest.approx(sum(gold) / len(gold))


def test_meteor_matches_words_and_stems_and_punishes_disorder():
    # one chunk of three: penalty 0.5 (1/3)^3; as precision and recall are 1, so is their mean
    assert meteor(split("he walked home"), split("he walks home")).value == pytest.approx(1 - 0.5 / 27)
    # three matches in three chunks
    assert meteor(split("home he walked"), split("walks he home")).value == pytest.approx(1 - 0.5)
    # P = 1, R = 1/2: P R / (0.9 P + 0.1 R), one chunk of two
    assert meteor(split("a b"), split("a b c d")).value == pytest.approx((1 - 0.5 / 8) * 0.5 / (0.9 + 0.05))
    assert meteor(split("happy"), split("glad")).value == 0
    assert "stemmer:porter|synonyms:none" in meteor(split("a"), split("a")).signature


@pytest.mark.parametrize("metric", [corpus_bleu, rouge_l, meteor])
def test_what_is_not_one_reference_a_hypothesis_is_refused(metric):
    with pytest.raises(UserError, match=r"hypotheses \(=2\) and of references \(=1\)"):
        metric(split("a", "b"), split("a"))
    with pytest.raises(UserError, match=r"no hypotheses \(0\)"):
        metric([], [])
    with pytest.raises(UserError, match="reference 0 is a plain string"):
        metric(split("a b"), ["a b"])
