"""Tokenised sentences and their n-grams, counted once, in time linear in their number (up to a sort).

N-grams are ids, ranked order by order: the id of an n-gram is the rank of the pair (id of its first n - 1 words, id
of its last word), which never overflows. What is kept is, for each order, the n-grams and who holds them how often.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import chain
from numbers import Integral

import numpy as np
from jaxtyping import Int

from textgan.errors import UserError

Token = Hashable
"""A word: a str, or an int id."""


@dataclass(frozen=True)
class NGrams:
    """All n-grams of one order n. A *run* is an n-gram in a sentence that holds it, once or more often."""

    keys: Int[np.ndarray, "ngrams"]
    """(id of the first n - 1 words) * base + (id of the last word), ascending. An n-gram's id is its place here."""
    ngram: Int[np.ndarray, "runs"]
    """Id of the run's n-gram, ascending."""
    sentence: Int[np.ndarray, "runs"]
    """Number of the run's sentence."""
    count: Int[np.ndarray, "runs"]
    """How often that sentence holds that n-gram."""

    def find(self, keys: Int[np.ndarray, "keys"]) -> Int[np.ndarray, "keys"]:
        """Ids of the n-grams that have these keys; ``len(self.keys)`` for those that are not here."""
        place = np.searchsorted(self.keys, keys)
        return np.where(np.append(self.keys, -1)[place] == keys, place, len(self.keys))

    def largest(self) -> Int[np.ndarray, "ngrams"]:
        """Largest count of each n-gram in any one sentence."""
        return self._maximum(self.count)

    def largest_elsewhere(self) -> Int[np.ndarray, "runs"]:
        """For each run, the largest count of its n-gram in any one of the other sentences (0: in none)."""
        largest = self.largest()
        is_largest = self.count == largest[self.ngram]
        holders = np.bincount(self.ngram[is_largest], minlength=len(self.keys))
        below = self._maximum(np.where(is_largest, 0, self.count))
        second = np.where(holders > 1, largest, below)
        return np.where(is_largest, second[self.ngram], largest[self.ngram])

    def _maximum(self, per_run: Int[np.ndarray, "runs"]) -> Int[np.ndarray, "ngrams"]:
        first_runs = np.flatnonzero(np.diff(self.ngram, prepend=-1))
        return np.maximum.reduceat(per_run, first_runs)


class Sentences:
    """Tokenised sentences with their n-grams, n = 1 ... `highest`, counted once and for all.

    Every metric of this package takes these in place of plain lists of tokens; references that are used again
    and again are best kept as one.

    Args:
        sentences: sequences of tokens, all str or all int; a sentence may be empty.
        highest: the largest n.

    Attributes:
        vocabulary: the id of each word, by first occurrence.
        token_kind: "str" or "int"; None where all sentences are empty.
        lengths: tokens of each sentence. (sentences,)
        base: the factor in `NGrams.keys`; above every id.
        orders: the n-grams of n = 1, 2, ..., `highest`.

    Raises:
        UserError: no sentences at all; a sentence that is a string; tokens that are neither str nor int, or both.
    """

    def __init__(self, sentences: Sequence[Sequence[Token]], highest: int = 5) -> None:
        if len(sentences) == 0:
            raise UserError("there are no sentences (0); at least one is needed")
        if any(issubclass(kind, str) for kind in set(map(type, sentences))):
            raise UserError("a sentence is a plain string; accepted: a sequence of tokens, as in sentence.split()")
        vocabulary: defaultdict[Token, int] = defaultdict()
        vocabulary.default_factory = vocabulary.__len__
        tokens = np.fromiter(map(vocabulary.__getitem__, chain.from_iterable(sentences)), dtype=np.int64)
        self.vocabulary = dict(vocabulary)
        self.token_kind = _token_kind(self.vocabulary)
        self.lengths = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
        self.base = len(self.vocabulary) + 1  # the last id stands for words that are not here
        self.orders = self._count(tokens, highest)

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.lengths)

    def total(self, n: int) -> int:
        """Number of n-grams in all sentences, each counted as often as it occurs."""
        return int(np.maximum(self.lengths - n + 1, 0).sum())

    def _count(self, tokens: np.ndarray, highest: int) -> list[NGrams]:
        sentence = np.repeat(np.arange(len(self)), self.lengths)
        words_left = np.repeat(np.cumsum(self.lengths), self.lengths) - np.arange(len(tokens))
        start = np.arange(len(tokens))
        ids = np.zeros(len(tokens), dtype=np.int64)  # of the (n - 1)-grams at `start`
        orders = []
        for n in range(1, highest + 1):
            long_enough = words_left[start] >= n
            start, ids = start[long_enough], ids[long_enough]
            keys, ids = np.unique(ids * self.base + tokens[start + n - 1], return_inverse=True)
            runs, count = np.unique(ids * len(self) + sentence[start], return_counts=True)
            ngram, held_by = np.divmod(runs, len(self))
            # 32 bits halve what is kept; 2^31 tokens would not fit in memory as lists anyway
            orders.append(NGrams(keys, ngram.astype(np.int32), held_by.astype(np.int32), count.astype(np.int32)))
        return orders


def as_sentences(sentences: Sentences | Sequence[Sequence[Token]], highest: int) -> Sentences:
    """Counts the n-grams, n = 1 ... `highest`, of sentences whose n-grams have not been counted yet.

    Raises:
        UserError: as `Sentences`; `highest` is above what has been counted.
    """
    if not isinstance(sentences, Sentences):
        return Sentences(sentences, highest)
    if highest > len(sentences.orders):
        raise UserError(f"n of n-grams (={highest}) must be at most {len(sentences.orders)}, which were counted")
    return sentences


def highest_order(orders: Sequence[int]) -> int:
    """The largest n asked for.

    Raises:
        UserError: there is none, or one is below 1.
    """
    if not orders or min(orders) < 1:
        raise UserError(f"orders of n-grams (={tuple(orders)}) must be one or more numbers from 1 up")
    return max(orders)


def _token_kind(vocabulary: dict[Token, int]) -> str | None:
    """``"str"`` or ``"int"``; None where there are no tokens."""
    kinds = set()
    for kind in set(map(type, vocabulary)):
        if not issubclass(kind, str | Integral):
            raise UserError(f"a token is a {kind.__name__}; accepted: str or int")
        kinds.add("str" if issubclass(kind, str) else "int")
    if len(kinds) > 1:
        raise UserError("the tokens are both str and int; accepted: all str or all int")
    return kinds.pop() if kinds else None
