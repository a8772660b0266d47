"""Perplexities by an n-gram language model: what a model of the samples makes of real text, and the converse.

The model is interpolated modified Kneser-Ney (Chen and Goodman 1998), which has no training loop, no seed and no
device: the same sentences give the same number everywhere, in less than a second. As a judge it sees n words at a time;
it compares samples of one size, and does not say how good a text is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64

from textgan.errors import UserError
from textgan.metrics.base import Score, signature

ORDER = 3
FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where the counts give none: they are few, or those of a sample that says one sentence over and over."""
Discounts = tuple[float, float, float]


@dataclass(frozen=True)
class _Order:
    """What is known of the n-grams of one order. Ids are places in the sorted keys."""

    contexts: Int64[np.ndarray, " contexts"]
    """(first word) * (contexts of the order below) + (id, there, of the other words), for contexts of n - 1 words."""
    ngrams: Int64[np.ndarray, " ngrams"]
    """(id of the context) * (outcomes) + (last word)."""
    share: Float64[np.ndarray, " ngrams"]
    """The n-gram's count less its discount, over its context's count."""
    left: Float64[np.ndarray, " contexts"]
    """The discounts of the context's n-grams over its count: the mass that the order below gives away."""


class KneserNey:
    """An interpolated modified Kneser-Ney model of sentences of word ids.

    Of order n, after the words ``h = x y ... z``::

        p_n(w | h) = (c(h w) - D(c(h w))) / c(h) + left(h) p_{n-1}(w | y ... z),      left(h) = sum_w D(c(h w)) / c(h)

    where c counts occurrences at the highest order and below it the different words that the n-gram is found after.
    A context that was never seen leaves everything to the order below, and single words leave to the uniform
    distribution over all outcomes, so that every id has a probability above 0. The discounts D of counts 1, 2 and more
    are Chen and Goodman's (equation 26), each order's from its own counts. A sentence stands after n - 1 begin marks,
    which are no outcome, and before an end mark, which is.

    Args:
        sentences: what is learned from: sequences of ids in [0, vocab_size).
        vocab_size: V. The outcomes are V ids and the end mark; their probabilities sum to 1.
        order: n.
        discounts: of counts 1, 2 and above, for n = 1, 2, ... None: from the counts.

    Raises:
        UserError: there are no sentences; `order` is below 1; a word is not in [0, vocab_size).
    """

    def __init__(
        self,
        sentences: Sequence[Sequence[int]],
        vocab_size: int,
        order: int = ORDER,
        discounts: Sequence[Discounts] | None = None,
    ) -> None:
        if order < 1:
            raise UserError(f"the order of the n-gram model (={order}) must be at least 1")
        self.order, self.vocab_size, self.sentences = order, vocab_size, len(sentences)
        self._outcomes = vocab_size + 1
        words, place = self._row(sentences)
        context = ids = np.zeros(len(place), dtype=np.int64)
        contexts = np.zeros(1, dtype=np.int64)  # before single words stands the empty one
        tables: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for n in range(1, order + 1):
            if n > 1:
                contexts, context = np.unique(words[place - n + 1] * len(contexts) + context, return_inverse=True)
            shorter = ids
            ngrams, first, ids, counts = np.unique(
                context * self._outcomes + words[place], return_index=True, return_inverse=True, return_counts=True
            )
            if tables:  # the order below counts the different words that its n-grams are found after
                tables[-1] = (*tables[-1][:2], np.bincount(shorter[first]))
            tables.append((contexts, ngrams, counts))
        given = [None] * order if discounts is None else discounts
        self._orders = [self._discounted(*table, d) for table, d in zip(tables, given, strict=True)]

    def log_probs(self, sentences: Sequence[Sequence[int]]) -> Float64[np.ndarray, " outcomes"]:
        """``log p(word | words before it)`` in nats, of each word and end mark, sentence after sentence.

        Raises:
            UserError: there are no sentences; a word is not in [0, vocab_size).
        """
        words, place = self._row(sentences)
        p = np.full(len(place), 1 / self._outcomes)
        context, contexts = np.zeros(len(place), dtype=np.int64), 1
        known = np.ones(len(place), dtype=bool)
        for n, order in enumerate(self._orders, 1):
            if n > 1:
                context, found = _find(order.contexts, words[place - n + 1] * contexts + context)
                known &= found
            ngram, seen = _find(order.ngrams, context * self._outcomes + words[place])
            p = np.where(known, np.where(seen, order.share[ngram], 0) + order.left[context] * p, p)
            contexts = len(order.contexts)
        return np.log(p)

    def _row(
        self, sentences: Sequence[Sequence[int]]
    ) -> tuple[Int64[np.ndarray, " all"], Int[np.ndarray, " outcomes"]]:
        """All sentences in a row with their marks, and the places of what is predicted: all but the begin marks."""
        if len(sentences) == 0:
            raise UserError("there are no sentences (0) for the n-gram model; at least one is needed")
        ids = np.fromiter(chain.from_iterable(sentences), dtype=np.int64)
        for strange in ids[(ids < 0) | (ids >= self.vocab_size)][:1]:
            raise UserError(
                f"a word has the id {strange}; the n-gram model knows those from 0 to {self.vocab_size - 1}"
            )
        marks = self.order - 1
        sizes = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences)) + marks + 1
        ends = np.cumsum(sizes) - 1
        begins = (ends - sizes + 1)[:, None] + np.arange(marks)
        words = np.full(sizes.sum(), -1)
        words[ends], words[begins] = self.vocab_size, self.vocab_size + 1
        words[words < 0] = ids
        return words, np.flatnonzero(words <= self.vocab_size)

    def _discounted(
        self,
        contexts: Int64[np.ndarray, " contexts"],
        ngrams: Int64[np.ndarray, " ngrams"],
        counts: Int[np.ndarray, " ngrams"],
        discounts: Discounts | None,
    ) -> _Order:
        taken = np.array([0.0, *(discounts or estimated_discounts(counts))])[np.minimum(counts, 3)]
        context = ngrams // self._outcomes
        totals = np.bincount(context, weights=counts)
        left = np.bincount(context, weights=taken) / totals
        return _Order(contexts, ngrams, (counts - taken) / totals[context], left)


def estimated_discounts(counts: Int[np.ndarray, " ngrams"]) -> Discounts:
    """Discounts of n-grams counted once, twice, and more often (Chen and Goodman 1998, equation 26).

    With n_r n-grams counted r times and ``Y = n_1 / (n_1 + 2 n_2)``: ``D_r = r - (r + 1) Y n_{r+1} / n_r``. `FALLBACK`
    where one of n_1 ... n_4 is 0 or a D_r is below 0.
    """
    n = np.bincount(counts, minlength=5)[1:5].tolist()
    if 0 in n:
        return FALLBACK
    y = n[0] / (n[0] + 2 * n[1])
    one, two, more = (r - (r + 1) * y * n[r] / n[r - 1] for r in (1, 2, 3))
    return (one, two, more) if min(one, two, more) >= 0 else FALLBACK


def forward_perplexity(model: KneserNey, samples: Sequence[Sequence[int]], tokenizer: str = "whitespace") -> Score:
    """Perplexity of generated sentences under a model of real training text: low where they are fluent.

    Also low where they are dull: repeating a frequent sentence beats real text. It belongs beside `reverse_perplexity`.

    Raises:
        UserError: see `KneserNey.log_probs`.
    """
    return _perplexity("forward-ppl", model, samples, tokenizer)


def reverse_perplexity(
    samples: Sequence[Sequence[int]],
    references: Sequence[Sequence[int]],
    vocab_size: int,
    order: int = ORDER,
    tokenizer: str = "whitespace",
) -> Score:
    """Perplexity of held-out real sentences under a model that has learned from the samples alone (Zhao et al. 2018).

    High where the samples are not fluent and where they lack what real text has. It falls as the sample grows: compare
    only samples of one size.

    Raises:
        UserError: see `KneserNey`.
    """
    tokens = sum(map(len, references)) + len(references)
    return _perplexity("reverse-ppl", KneserNey(samples, vocab_size, order), references, tokenizer, tokens=tokens)


def perplexity(nll: Score) -> Score:
    """exp of a score in nats per token, such as "nll-test", which becomes "ppl-test"."""
    name, _, rest = nll.signature.partition("|")
    value = math.exp(nll.value) if nll.value < 700 else math.inf  # above, exp overflows
    return Score(value, f"{name.replace('nll', 'ppl', 1)}|{rest.replace('unit:nats/token|', '')}")


def _perplexity(
    metric: str, model: KneserNey, sentences: Sequence[Sequence[int]], tokenizer: str, **known: int
) -> Score:
    """`known`: what else can be said of the sentences before they are written."""
    log_probs = model.log_probs(sentences)
    settings = {"model": "modified-kneser-ney", "order": model.order, "vocabulary": model.vocab_size}
    sizes = {"trained-on": model.sentences, "scored": len(sentences), **known}
    return Score(math.exp(-log_probs.mean()), signature(metric, **settings, **sizes, tokenizer=tokenizer))


def _find(table: Int64[np.ndarray, " n"], keys: Int64[np.ndarray, " m"]) -> tuple[np.ndarray, Bool[np.ndarray, " m"]]:
    """Places of the keys in a sorted table, and whether they are there; where they are not, the place means nothing."""
    place = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return place, table[place] == keys
