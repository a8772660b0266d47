"""Tokenised sentences and their n-grams, counted once, in time linear in their number (up to a sort).

N-grams are ids, ranked order by order: the id of an n-gram is the rank of the pair (id of its first n - 1 words, id
of its last word), which never overflows. What is kept is, for each order, the n-grams and who holds them how often.

A sample that is spread over several processes is counted where it is, and the counts are put together::

    mine = Sentences(samples, part=True)           # in every process, of its own samples; there may be none
    parts = ...                                    # every process's mine.arrays(), in the order of the processes
    whole = merged([Sentences.from_arrays(arrays) for arrays in parts])

`whole` is, to the last bit, what `Sentences` makes of all samples in this order, and so is every metric of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, fields
from itertools import chain
from numbers import Integral

import numpy as np
from jaxtyping import Int

from textgan.errors import UserError

Token = Hashable
"""A word: a str, or an int id."""
_EXACTLY = ("utf-8", "surrogatepass")
"""How words become bytes: any word that Python can hold, and none as another."""


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
        part: whether these are one process's part of a sample, to be `merged`: there may be none.

    Attributes:
        vocabulary: the id of each word, by first occurrence.
        token_kind: "str" or "int"; None where all sentences are empty.
        lengths: tokens of each sentence. (sentences,)
        tokens: ids of the words of all sentences, one after the other. (tokens,)
        base: the factor in `NGrams.keys`; above every id.
        orders: the n-grams of n = 1, 2, ..., `highest`.

    Raises:
        UserError: no sentences at all; a sentence that is a string; tokens that are neither str nor int, or both.
    """

    def __init__(self, sentences: Sequence[Sequence[Token]], highest: int = 5, part: bool = False) -> None:
        if not part:
            _require_some(sentences)
        if any(issubclass(kind, str) for kind in set(map(type, sentences))):
            raise UserError("a sentence is a plain string; accepted: a sequence of tokens, as in sentence.split()")
        vocabulary: defaultdict[Token, int] = defaultdict()
        vocabulary.default_factory = vocabulary.__len__
        tokens = np.fromiter(map(vocabulary.__getitem__, chain.from_iterable(sentences)), dtype=np.int64)
        lengths = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
        self._set(dict(vocabulary), lengths, tokens)
        self.orders = self._count(tokens, highest)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Sentences:
        """What `arrays` was called on."""
        if "words" in arrays:
            texts = arrays["words"].tobytes()
            words: list[Token] = [texts[a:b].decode(*_EXACTLY) for a, b in _spans(arrays["word_lengths"])]
        else:
            words = arrays["ids"].tolist()
        vocabulary = {word: i for i, word in enumerate(words)}
        highest = sum(name.startswith("keys-") for name in arrays)
        orders = [NGrams(*(arrays[f"{f.name}-{n}"] for f in fields(NGrams))) for n in range(1, highest + 1)]
        return cls._assembled(vocabulary, arrays["lengths"], arrays["tokens"], orders)

    def arrays(self) -> dict[str, np.ndarray]:
        """All that was counted as NumPy arrays of numbers, to be sent to another process or kept in a file.

        The words are UTF-8 bytes and their number for each word, or the int tokens themselves.
        """
        words: dict[str, np.ndarray]
        if self.token_kind == "str":
            texts = [str(word).encode(*_EXACTLY) for word in self.vocabulary]
            words = {
                "words": np.frombuffer(b"".join(texts), dtype=np.uint8),
                "word_lengths": np.array(list(map(len, texts)), dtype=np.int64),
            }
        else:
            words = {"ids": np.array(list(self.vocabulary), dtype=np.int64)}
        orders = {f"{f.name}-{n}": getattr(o, f.name) for n, o in enumerate(self.orders, 1) for f in fields(NGrams)}
        return {**words, "lengths": self.lengths, "tokens": self.tokens, **orders}

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.lengths)

    def total(self, n: int) -> int:
        """Number of n-grams in all sentences, each counted as often as it occurs."""
        return int(np.maximum(self.lengths - n + 1, 0).sum())

    def distinct(self) -> frozenset[bytes]:
        """The different sentences, each as the bytes of its words' ids."""
        return frozenset(self.tokens[a:b].tobytes() for a, b in _spans(self.lengths))

    def plain(self) -> list[list[Token]]:
        """The sentences as lists of tokens."""
        words = list(self.vocabulary)
        tokens = [words[i] for i in self.tokens.tolist()]
        return [tokens[a:b] for a, b in _spans(self.lengths)]

    @classmethod
    def _assembled(
        cls, vocabulary: dict[Token, int], lengths: np.ndarray, tokens: np.ndarray, orders: list[NGrams]
    ) -> Sentences:
        """Sentences that were counted elsewhere."""
        counted = cls.__new__(cls)
        counted._set(vocabulary, lengths, tokens)
        counted.orders = orders
        return counted

    def _set(self, vocabulary: dict[Token, int], lengths: np.ndarray, tokens: np.ndarray) -> None:
        self.vocabulary = vocabulary
        self.token_kind = _token_kind(vocabulary)
        self.lengths = lengths
        self.tokens = tokens.astype(np.int32)
        self.base = len(vocabulary) + 1  # the last id stands for words that are not here

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


def merged(parts: Sequence[Sentences]) -> Sentences:
    """The sentences of all parts, in the order of the parts, from what was counted of each.

    Equal to the last bit to `Sentences` of all of them. The work is a sort of the parts' n-grams, about as much as
    counting is without looking words up. Parts may be empty, but not all.

    Raises:
        UserError: no sentences at all; parts with tokens of different kinds, or counted to a different highest n.
    """
    if len({len(part.orders) for part in parts}) > 1:
        raise UserError(
            f"the parts were counted to n = {', '.join(str(len(part.orders)) for part in parts)}; "
            "accepted: the same highest n in all"
        )
    lengths = np.concatenate([part.lengths for part in parts]) if parts else np.empty(0)
    _require_some(lengths)
    vocabulary: dict[Token, int] = {}
    for part in parts:
        for token in part.vocabulary:
            vocabulary.setdefault(token, len(vocabulary))
    words = [np.array([vocabulary[token] for token in part.vocabulary], dtype=np.int64) for part in parts]
    base = len(vocabulary) + 1
    before = np.cumsum([0, *map(len, parts)])  # sentences of the parts before
    ids = [np.zeros(1, dtype=np.int64) for _ in parts]  # in the whole, of the parts' (n - 1)-grams; at first, of ()
    counted = []
    for orders in zip(*(part.orders for part in parts), strict=True):
        keys = []
        for own, part, shorter, word in zip(orders, parts, ids, words, strict=True):
            first, last = np.divmod(own.keys, part.base)
            keys.append(shorter[first] * base + word[last])
        distinct, places = np.unique(np.concatenate(keys), return_inverse=True)
        ids = np.split(places, np.cumsum([len(key) for key in keys])[:-1])
        ngram = np.concatenate([place[own.ngram] for place, own in zip(ids, orders, strict=True)])
        sentence = np.concatenate([own.sentence + n for own, n in zip(orders, before[:-1], strict=True)])
        count = np.concatenate([own.count for own in orders])
        order = np.argsort(ngram, kind="stable")  # sentences are ascending already
        runs = ngram[order].astype(np.int32), sentence[order].astype(np.int32), count[order]
        counted.append(NGrams(distinct, *runs))
    tokens = np.concatenate([word[part.tokens] for word, part in zip(words, parts, strict=True)])
    return Sentences._assembled(vocabulary, lengths, tokens, counted)


def as_sentences(sentences: Sentences | Sequence[Sequence[Token]], highest: int) -> Sentences:
    """Counts the n-grams, n = 1 ... `highest`, of sentences whose n-grams have not been counted yet.

    Raises:
        UserError: as `Sentences`; `highest` is above what has been counted.
    """
    if not isinstance(sentences, Sentences):
        return Sentences(sentences, highest)
    _require_some(sentences)
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


def _spans(lengths: Int[np.ndarray, "n"]) -> Iterable[tuple[int, int]]:
    """Where each of `n` stretches begins and ends that lie one after the other."""
    ends = np.cumsum(lengths)
    return zip((ends - lengths).tolist(), ends.tolist(), strict=True)


def _require_some(sentences: Sized) -> None:
    if len(sentences) == 0:
        raise UserError("there are no sentences (0); at least one is needed")


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
