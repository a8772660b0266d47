"""A probabilistic context-free grammar: sentences whose probability, entropy and grammaticality are exact.

A grammar maps symbols to weighted alternatives. A symbol's alternative ``"3 NP VP ."`` is drawn with a probability in
proportion to its weight, 3 (1 where none is written); whatever is not a symbol is a word. A symbol whose alternatives
are all single words of weight 1 may be written as one string: ``NOUN: dog cat horse``. Symbols must not recur, so that
the language is finite. The grammar of the card ``grammar`` is also unambiguous: a sentence has one derivation.
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate

from textgan.errors import UserError

Rules = Mapping[str, str | Sequence[str]]


class Grammar:
    """The language of `rules`, whose first symbol is the start. Raises UserError for rules that recur or are empty."""

    def __init__(self, rules: Rules) -> None:
        self._alternatives: dict[str, list[tuple[float, tuple[str, ...]]]] = {}
        self._words: dict[str, dict[str, float]] = {}
        """Probability of each word of a symbol that is nothing but words: looked up, not searched."""
        for symbol, written in rules.items():
            alternatives = [_weighted(one) for one in (written.split() if isinstance(written, str) else written)]
            total = sum(weight for weight, _ in alternatives)
            if not alternatives or min(weight for weight, _ in alternatives) <= 0:
                raise UserError(f"grammar symbol {symbol!r} needs alternatives of positive weight")
            self._alternatives[symbol] = [(weight / total, parts) for weight, parts in alternatives]
        self.start = next(iter(self._alternatives))
        self._check_finite(self.start, ())
        for symbol, options in self._alternatives.items():
            if all(len(parts) == 1 and parts[0] not in self._alternatives for _, parts in options):
                self._words[symbol] = {}
                for p, (word,) in options:
                    self._words[symbol][word] = self._words[symbol].get(word, 0.0) + p
        self._cumulative = {
            symbol: list(accumulate(p for p, _ in options)) for symbol, options in self._alternatives.items()
        }

    def sample(self, n: int, seed: int) -> list[str]:
        """`n` independent sentences, words joined by spaces. The same for the same seed on every machine."""
        rng = random.Random(seed)
        return [" ".join(self._expand(self.start, rng)) for _ in range(n)]

    def log_prob(self, sentence: str) -> float:
        r"""Natural logarithm of the sentence's probability, ``-inf`` if it is not in the language.

        The sum over all derivations (the inside algorithm), so it is exact for an ambiguous grammar too.
        """
        p = self._inside(sentence.split(), weigh=lambda p: p)
        return math.log(p) if p > 0 else -math.inf

    def derivations(self, sentence: str) -> int:
        """In how many ways the grammar derives the sentence. 0: not in the language."""
        return round(self._inside(sentence.split(), weigh=lambda p: 1.0))

    def entropy(self) -> float:
        """Entropy of the derivations in nats a sentence; of the sentences, where the grammar is unambiguous.

        ``H(A) = sum_r p(r) (-ln p(r) + sum of H(B) over the symbols B in r)``.
        """
        return self._total(lambda p, parts: p * (sum(parts) - math.log(p)), word=0.0)

    def mean_length(self) -> float:
        """Expected number of words of a sentence."""
        return self._total(lambda p, parts: p * sum(parts), word=1.0)

    def lengths(self) -> tuple[int, int]:
        """Words of the shortest and of the longest sentence."""
        shortest = self._fold(lambda options: min(sum(parts) for _, parts in options), word=1.0)
        longest = self._fold(lambda options: max(sum(parts) for _, parts in options), word=1.0)
        return round(shortest), round(longest)

    def count(self) -> float:
        """Number of derivations; of sentences, where the grammar is unambiguous."""
        return self._total(lambda p, parts: math.prod(parts), word=1.0)

    @cached_property
    def vocabulary(self) -> list[str]:
        """All words that a sentence may have, sorted."""
        options = (parts for alternatives in self._alternatives.values() for _, parts in alternatives)
        return sorted({part for parts in options for part in parts if part not in self._alternatives})

    def _expand(self, symbol: str, rng: random.Random) -> list[str]:
        if symbol not in self._alternatives:
            return [symbol]
        cumulative = self._cumulative[symbol]
        # random() is the one method that Python keeps the same between versions.
        chosen = min(bisect.bisect_right(cumulative, rng.random()), len(cumulative) - 1)
        _, parts = self._alternatives[symbol][chosen]
        return [word for part in parts for word in self._expand(part, rng)]

    def _inside(self, words: Sequence[str], weigh: Callable[[float], float]) -> float:
        """Total weight of all derivations of `words`, where an alternative of probability p weighs ``weigh(p)``."""
        known: dict[tuple[str, int], dict[int, float]] = {}

        def ends(symbol: str, begin: int) -> dict[int, float]:
            """Where the symbol may end if it begins there, with the weight of its derivations."""
            if symbol not in self._alternatives or symbol in self._words:
                word = words[begin] if begin < len(words) else None
                p = self._words[symbol].get(word or "", 0.0) if symbol in self._words else float(symbol == word)
                return {begin + 1: weigh(p)} if p else {}
            if (symbol, begin) not in known:
                found: dict[int, float] = {}
                for p, parts in self._alternatives[symbol]:
                    reached = {begin: weigh(p)}
                    for part in parts:
                        step: dict[int, float] = {}
                        for at, weight in reached.items():
                            for end, more in ends(part, at).items():
                                step[end] = step.get(end, 0.0) + weight * more
                        reached = step
                    for end, weight in reached.items():
                        found[end] = found.get(end, 0.0) + weight
                known[symbol, begin] = found
            return known[symbol, begin]

        return ends(self.start, 0).get(len(words), 0.0)

    def _fold(self, combine: Callable[[list[tuple[float, list[float]]]], float], word: float) -> float:
        """`combine` applied from the words up to the start symbol; a word counts as `word`."""
        known: dict[str, float] = {}

        def value(part: str) -> float:
            if part not in self._alternatives:
                return word
            if part not in known:
                known[part] = combine([(p, [value(q) for q in parts]) for p, parts in self._alternatives[part]])
            return known[part]

        return value(self.start)

    def _total(self, term: Callable[[float, list[float]], float], word: float) -> float:
        return self._fold(lambda options: sum(term(p, parts) for p, parts in options), word)

    def _check_finite(self, symbol: str, above: tuple[str, ...]) -> None:
        if symbol in above:
            raise UserError(f"grammar symbol {symbol!r} recurs ({' > '.join((*above, symbol))}): not accepted")
        for _, parts in self._alternatives.get(symbol, []):
            for part in parts:
                self._check_finite(part, (*above, symbol))


def _weighted(alternative: str) -> tuple[float, tuple[str, ...]]:
    first, *rest = alternative.split()
    try:
        return (float(first), tuple(rest)) if rest else (1.0, (first,))
    except ValueError:
        return 1.0, (first, *rest)
