"""The Kneser-Ney model against its definition written with dictionaries, against NLTK, and by hand."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from nltk.lm import NgramCounter, Vocabulary
from nltk.lm.models import KneserNeyInterpolated

from textgan.errors import UserError
from textgan.metrics.base import Score
from textgan.metrics.language_model import (
    FALLBACK,
    KneserNey,
    estimated_discounts,
    forward_perplexity,
    perplexity,
    reverse_perplexity,
)

V = 9
END, BEGIN = V, V + 1


def text(sentences=40, seed=0):
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(1, V)  # id V - 1 never comes
    return [
        random.choice(V - 1, size=random.integers(0, 7), p=weights / weights.sum()).tolist() for _ in range(sentences)
    ]


def ngrams(sentences, n, order):
    """Every n-gram that ends in a word or an end mark, as often as it comes, behind order - 1 begin marks."""
    found = []
    for sentence in sentences:
        row = [BEGIN] * (order - 1) + list(sentence) + [END]
        found += [tuple(row[i - n + 1 : i + 1]) for i in range(order - 1, len(row))]
    return found


class ByDefinition:
    """Modified Kneser-Ney, one probability at a time."""

    def __init__(self, sentences, order, discounts=None):
        self.counts = {order: Counter(ngrams(sentences, order, order))}
        for n in range(order - 1, 0, -1):
            before = defaultdict(set)
            for gram in set(ngrams(sentences, n + 1, order)):
                before[gram[1:]].add(gram[0])
            self.counts[n] = Counter({gram: len(words) for gram, words in before.items()})
        self.order = order
        self.discounts = {
            n: discounts[n - 1] if discounts else self.estimated(self.counts[n].values()) for n in self.counts
        }

    @staticmethod
    def estimated(counts):
        n1, n2, n3, n4 = (sum(c == r for c in counts) for r in (1, 2, 3, 4))
        if 0 in (n1, n2, n3, n4):
            return FALLBACK
        y = n1 / (n1 + 2 * n2)
        found = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
        return found if min(found) >= 0 else FALLBACK

    def p(self, word, context):
        return self._p(word, tuple(context)[len(context) - self.order + 1 :], self.order)

    def _p(self, word, context, n):
        if n == 0:
            return 1 / (V + 1)
        after = {gram[-1]: c for gram, c in self.counts[n].items() if gram[:-1] == context}
        lower = self._p(word, context[1:], n - 1)
        if not after:
            return lower
        d = dict(enumerate(self.discounts[n], 1))
        taken = sum(d[min(c, 3)] for c in after.values())
        own = after[word] - d[min(after[word], 3)] if word in after else 0
        return own / sum(after.values()) + taken / sum(after.values()) * lower


def contexts_and_words(sentences, order):
    for sentence in sentences:
        row = [BEGIN] * (order - 1) + list(sentence) + [END]
        for i in range(order - 1, len(row)):
            yield tuple(row[i - order + 1 : i]), row[i]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("sentences", [1, 40, 300])
def test_log_probabilities_are_those_of_the_definition(order, sentences):
    train, other = text(sentences), [*text(10, seed=1), [V - 1, 0, V - 1], []]
    expected = ByDefinition(train, order)
    found = KneserNey(train, V, order).log_probs(other)
    assert found == pytest.approx(
        [math.log(expected.p(word, context)) for context, word in contexts_and_words(other, order)]
    )


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("history", [[], [0], [1, 0], [V - 1, 2], [V - 1, V - 1, V - 1], [0, 0, 0, 0]])
def test_probabilities_of_what_may_follow_sum_to_1(order, history):
    model = KneserNey(text(), V, order)
    place = len(history)
    of_words = [model.log_probs([[*history, word]])[place] for word in range(V)]
    of_end = model.log_probs([history])[place]
    assert np.exp([*of_words, of_end]).sum() == pytest.approx(1, abs=1e-12)
    assert np.isfinite(of_words).all()


@pytest.mark.parametrize("order", [2, 3, 4])
def test_equals_nltk_where_the_definitions_agree(order):
    # NLTK has one discount for all counts, none for single words, and no probability for words it has not seen
    train = text(60)
    seen = {word for sentence in train for word in sentence}
    counter = NgramCounter([ngrams(train, n, order) for n in range(1, order + 1)])
    theirs = KneserNeyInterpolated(order, discount=0.3, vocabulary=Vocabulary(), counter=counter)
    ours = KneserNey(train, V, order, [(0.0, 0.0, 0.0), *[(0.3, 0.3, 0.3)] * (order - 1)])
    other = [[word for word in sentence if word in seen] for sentence in text(15, seed=1)]
    expected = [math.log(theirs.unmasked_score(word, context)) for context, word in contexts_and_words(other, order)]
    assert ours.log_probs(other) == pytest.approx(expected)


def test_a_bigram_model_by_hand():
    # "0 1", "0 2": after 0 come 1 and 2, once each; the different words before 0, 1, 2, END are 1, 1, 1, 2
    # the discounts are the fallback's: 0.5 of one, 1 of two
    model = KneserNey([[0, 1], [0, 2]], 3, order=2)
    left = (3 * 0.5 + 1) / 5 / 4  # for each of four outcomes
    word, end = (1 - 0.5) / 5 + left, (2 - 1) / 5 + left
    begin_0 = (2 - 1) / 2 + 1 / 2 * word
    then_1 = (1 - 0.5) / 2 + 2 * 0.5 / 2 * word
    then_end = (1 - 0.5) / 1 + 0.5 / 1 * end
    assert np.exp(model.log_probs([[0, 1]])) == pytest.approx([begin_0, then_1, then_end])


def test_discounts_are_chen_and_goodmans():
    counts = np.array([1] * 8 + [2] * 4 + [3] * 2 + [4] + [9])
    y = 8 / 16
    assert estimated_discounts(counts) == pytest.approx((1 - 2 * y / 2, 2 - 3 * y / 2, 3 - 4 * y / 2))
    assert estimated_discounts(np.array([1, 1, 1, 2, 3])) == FALLBACK  # none came four times
    assert estimated_discounts(np.array([1, 2] + [3] * 50 + [4])) == FALLBACK  # D_2 would be below 0


class TestPerplexities:
    def test_forward_is_that_of_the_samples_under_the_model(self):
        model = KneserNey(text(), V)
        samples = text(10, seed=1)
        found = forward_perplexity(model, samples, "word")
        log_probs = model.log_probs(samples)
        assert found.value == pytest.approx(math.exp(-log_probs.mean()))
        assert found.signature == (
            "forward-ppl|model:modified-kneser-ney|order:3|vocabulary:9|trained-on:40|scored:10|tokenizer:word|version:1"
        )
        assert len(log_probs) == sum(map(len, samples)) + 10

    def test_reverse_is_that_of_real_text_under_a_model_of_the_samples(self):
        samples, real = text(30), text(10, seed=1)
        found = reverse_perplexity(samples, real, V, order=2)
        assert found.value == forward_perplexity(KneserNey(samples, V, 2), real).value
        assert "reverse-ppl|model:modified-kneser-ney|order:2|vocabulary:9|trained-on:30|scored:10|" in found.signature

    def test_one_sentence_over_and_over_is_fluent_and_teaches_nothing(self):
        real = text(200)
        collapsed = [max(real, key=real.count)] * 200
        model = KneserNey(real, V)
        assert forward_perplexity(model, collapsed).value < forward_perplexity(model, text(200, seed=1)).value
        varied = reverse_perplexity(text(200, seed=1), real, V).value
        assert reverse_perplexity(collapsed, real, V).value > 2 * varied

    def test_empty_sentences_teach_that_sentences_end(self):
        model = KneserNey([[], [], []], V)
        assert math.exp(model.log_probs([[]])[0]) > 0.5

    def test_of_a_likelihood_is_its_exponential(self):
        nll = Score(math.log(20), "nll-test|unit:nats/token|sentences:3|tokens:12|version:1")
        found = perplexity(nll)
        assert (found.value, found.signature) == (pytest.approx(20), "ppl-test|sentences:3|tokens:12|version:1")
        assert perplexity(Score(1e4, "nll-valid|version:1")) == Score(math.inf, "ppl-valid|version:1")


def test_what_cannot_be_learned_from_is_refused():
    with pytest.raises(UserError, match="there are no sentences"):
        KneserNey([], V)
    with pytest.raises(UserError, match=r"order of the n-gram model \(=0\) must be at least 1"):
        KneserNey([[0]], V, order=0)
    for strange in (-1, V, V + 1, 10**6):
        with pytest.raises(UserError, match=rf"a word has the id {strange}; the n-gram model knows those from 0 to 8"):
            KneserNey([[0, strange]], V)
