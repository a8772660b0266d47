"""How varied, new and repetitive a sample of sentences is, and `text_scores`: all there is for token sequences.

Each metric takes lists of tokens or the `Sentences` counted once, those `merged` of several processes too. A value that
does not exist, as of 4-grams where no sentence has four words, is an error when asked for by name and absent from
`text_scores`; it is never 0.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from collections.abc import Set as AbstractSet

import numpy as np
from jaxtyping import Int64

from textgan.errors import UserError
from textgan.metrics.base import Score, signature
from textgan.metrics.ngram import ORDERS, bleu, self_bleu
from textgan.metrics.sentences import Sentences, Token, as_sentences, highest_order

DISTINCT_ORDERS = (1, 2, 3, 4)
REPETITION_ORDER = 4


def sentence_set(sentences: Sequence[Sequence[Token]]) -> frozenset[tuple[Token, ...]]:
    """The different sentences, as `novelty` looks them up. Built once from the training set, and held in memory."""
    return frozenset(map(tuple, sentences))


def distinct(sentences: Sentences | Sequence[Sequence[Token]], n: int, tokenizer: str = "whitespace") -> Score:
    """Distinct-n (Li et al. 2016): different n-grams / all n-grams of the whole sample, in (0, 1].

    It falls as the sample grows: compare only samples of one size.

    Raises:
        UserError: no sentence has n tokens; see also `Sentences`.
    """
    sentences = as_sentences(sentences, highest_order([n]))
    total = _total(sentences, n, f"distinct-{n}")
    value = len(sentences.orders[n - 1].keys) / total
    return Score(value, signature("distinct", n=n, samples=len(sentences), tokenizer=tokenizer))


def unique(sentences: Sentences | Sequence[Sequence[Token]], tokenizer: str = "whitespace") -> Score:
    """Different sentences / all sentences of the sample, in (0, 1].

    Raises:
        UserError: there are no sentences.
    """
    _require_sentences(sentences, "unique")
    different = sentences.distinct() if isinstance(sentences, Sentences) else sentence_set(sentences)
    value = len(different) / len(sentences)
    return Score(value, signature("unique", samples=len(sentences), tokenizer=tokenizer))


def novelty(
    sentences: Sentences | Sequence[Sequence[Token]],
    train: AbstractSet[tuple[Token, ...]],
    tokenizer: str = "whitespace",
) -> Score:
    """Share of the sample's sentences that are not in the training set, word for word, in [0, 1].

    `train` is the training set's `sentence_set`.

    Raises:
        UserError: there are no sentences.
    """
    _require_sentences(sentences, "novelty")
    plain = sentences.plain() if isinstance(sentences, Sentences) else sentences
    value = sum(tuple(sentence) not in train for sentence in plain) / len(sentences)
    return Score(value, signature("novelty", samples=len(sentences), train=len(train), tokenizer=tokenizer))


def novelty_of_hashes(
    sentences: Int64[np.ndarray, " samples"], train: Int64[np.ndarray, " distinct"], tokenizer: str = "whitespace"
) -> Score:
    """`novelty` of sentences given by their 64-bit hashes; a training set of any size is 8 bytes a sentence.

    The hashes of `train` are ascending: they are searched, not sorted anew for every sample.

    Raises:
        UserError: there are no sentences.
    """
    _require_sentences(sentences, "novelty")
    if len(train):
        places = np.searchsorted(train, sentences)
        known = train[np.minimum(places, len(train) - 1)] == sentences
    else:
        known = np.zeros(len(sentences), dtype=bool)
    value = float((~known).mean())
    return Score(value, signature("novelty", samples=len(sentences), train=len(train), tokenizer=tokenizer))


def repetition(
    sentences: Sentences | Sequence[Sequence[Token]],
    n: int = REPETITION_ORDER,
    tokenizer: str = "whitespace",
) -> Score:
    """seq-rep-n (Welleck et al. 2020): mean over sentences of ``1 - (different n-grams) / (all n-grams)``, in [0, 1).

    Sentences of fewer than n tokens have no n-gram and are left out.

    Raises:
        UserError: no sentence has n tokens; see also `Sentences`.
    """
    sentences = as_sentences(sentences, highest_order([n]))
    _total(sentences, n, f"repetition of {n}-grams")
    different = np.bincount(sentences.orders[n - 1].sentence, minlength=len(sentences))
    long_enough = sentences.lengths >= n
    repeated = 1 - different[long_enough] / (sentences.lengths[long_enough] - n + 1)
    return Score(float(repeated.mean()), signature("seq-rep", n=n, samples=len(sentences), tokenizer=tokenizer))


def entropy(sentences: Sentences | Sequence[Sequence[Token]], tokenizer: str = "whitespace") -> Score:
    """Shannon entropy ``-sum_w p(w) log p(w)`` of the sample's words, in nats.

    The plug-in estimate, which is too low by about (different words - 1) / (2 words) nats.

    Raises:
        UserError: all sentences are empty; see also `Sentences`.
    """
    sentences = as_sentences(sentences, 1)
    total = _total(sentences, 1, "entropy")
    words = sentences.orders[0]
    p = np.bincount(words.ngram, weights=words.count) / total
    value = float((p * np.log(1 / p)).sum())
    return Score(
        value,
        signature("unigram-entropy", unit="nats", samples=len(sentences), tokenizer=tokenizer),
    )


def length(sentences: Sentences | Sequence[Sequence[Token]], tokenizer: str = "whitespace") -> Score:
    """Mean tokens a sentence.

    Raises:
        UserError: see `Sentences`.
    """
    sentences = as_sentences(sentences, 1)
    value = float(sentences.lengths.mean())
    return Score(value, signature("length", unit="tokens", samples=len(sentences), tokenizer=tokenizer))


def text_scores(
    samples: Sentences | Sequence[Sequence[Token]],
    references: Sentences | Sequence[Sequence[Token]] | None = None,
    train: AbstractSet[tuple[Token, ...]] | None = None,
    tokenizer: str = "whitespace",
) -> dict[str, Score]:
    """All there is for token sequences, in this order.

    bleu-2 ... 5 (where `references` are given), self-bleu-2 ... 5 (of two samples or more), distinct-1 ... 4,
    unique, novelty (where `train`, a `sentence_set`, is given), repetition, entropy, length. What does not exist
    for these samples, such as distinct-4 of sentences of three words, is absent.

    Raises:
        UserError: see `Sentences`, `bleu`.
    """
    counted = as_sentences(samples, max(*ORDERS, *DISTINCT_ORDERS, REPETITION_ORDER))
    scores: dict[str, Score] = {}
    if references is not None:
        scores |= bleu(counted, references, ORDERS, tokenizer)
    if len(counted) > 1:
        scores |= self_bleu(counted, ORDERS, tokenizer)
    for n in DISTINCT_ORDERS:
        if counted.total(n):
            scores[f"distinct-{n}"] = distinct(counted, n, tokenizer)
    scores["unique"] = unique(counted, tokenizer)
    if train is not None:
        scores["novelty"] = novelty(counted, train, tokenizer)
    if counted.total(REPETITION_ORDER):
        scores["repetition"] = repetition(counted, REPETITION_ORDER, tokenizer)
    if counted.total(1):
        scores["entropy"] = entropy(counted, tokenizer)
    scores["length"] = length(counted, tokenizer)
    return scores


def _require_sentences(sentences: Sized, metric: str) -> None:
    if len(sentences) == 0:
        raise UserError(f"there are no sentences (0) for {metric}; at least one is needed")


def _total(sentences: Sentences, n: int, metric: str) -> int:
    total = sentences.total(n)
    if total == 0:
        longest = int(sentences.lengths.max())
        raise UserError(f"the longest sentence has {longest} tokens; {metric} needs one of at least {n}")
    return total
