"""How much of its one reference each hypothesis says: corpus BLEU, ROUGE-L and METEOR, as in tables of story endings.

Hypothesis i is held against reference i alone, both lists of words as they are to be compared (lower-cased, say). With
one reference an ending that is as good but different scores low, and a copy of the last sentence read scores well:
these numbers need the rows of trivial systems beside them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sacrebleu.metrics.bleu import BLEU

from textgan.errors import UserError
from textgan.metrics.base import Score, signature
from textgan.metrics.sentences import highest_order

BLEU_ORDERS = (1, 2, 3, 4)
METEOR = {"alpha": 0.9, "beta": 3.0, "gamma": 0.5}
"""Of Lavie and Agarwal (2007): weight of precision against recall, shape and weight of the penalty for disorder."""


def corpus_bleu(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    max_order: int = 4,
    tokenizer: str = "whitespace",
) -> Score:
    """Corpus BLEU (Papineni et al. 2002) by sacreBLEU, unsmoothed, in [0, 100].

    ``100 exp(min(0, 1 - r / c)) (p_1 ... p_n)^(1/n)``, where c and r are the words of all hypotheses and of all
    references, and p_k is the share of all the hypotheses' k-grams that are in their references, clipped. The mean of
    sentence BLEU, `textgan.metrics.bleu`, is another number. 0 where no k-gram matches, for some k up to n. NLTK's
    `corpus_bleu` is the same where no hypothesis has fewer than n words; it counts one n-gram in those that have none.

    Raises:
        UserError: no hypotheses, or not as many as references; a word that is empty or has white space in it; an order
            below 1.
    """
    return bleu_orders(hypotheses, references, (max_order,), tokenizer)[f"corpus-bleu-{max_order}"]


def bleu_orders(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    orders: Sequence[int] = BLEU_ORDERS,
    tokenizer: str = "whitespace",
) -> dict[str, Score]:
    """``"corpus-bleu-1"``, ...: `corpus_bleu` of several orders, the n-grams counted once. BLEU-n is cumulative.

    Raises:
        UserError: see `corpus_bleu`.
    """
    highest = highest_order(orders)
    require_pairs(hypotheses, references, "corpus BLEU")
    metric = bleu_metric(highest)
    counted = metric.corpus_score(as_lines(hypotheses), [as_lines(references)])
    theirs = str(metric.get_signature()).replace("|", ",")
    settings: dict[str, Any] = {"samples": len(hypotheses), "tokenizer": tokenizer, "sacrebleu": theirs}
    scores = {}
    for n in orders:
        counts, totals = counted.counts[:n], counted.totals[:n]
        bleu = BLEU.compute_bleu(counts, totals, counted.sys_len, counted.ref_len, max_ngram_order=n)
        scores[f"corpus-bleu-{n}"] = Score(bleu.score, signature("corpus-bleu", n=n, **settings))
    return scores


def rouge_l(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]], tokenizer: str = "whitespace"
) -> Score:
    """ROUGE-L (Lin 2004): mean over the pairs of the F1 of their longest common subsequence, in [0, 1].

    ``F = 2 P R / (P + R) = 2 LCS / (m + n)`` with ``P = LCS / m``, ``R = LCS / n``, for m and n words: beta is 1, so
    that a long ending is not preferred. Without stemming. A pair of two empty endings scores 0.

    Raises:
        UserError: no hypotheses, or not as many as references.
    """
    require_pairs(hypotheses, references, "ROUGE-L")
    words = np.array([len(ours) + len(theirs) for ours, theirs in zip(hypotheses, references, strict=True)])
    f1: Float[np.ndarray, " pairs"] = 2 * common_subsequences(hypotheses, references) / np.maximum(words, 1)
    return Score(float(f1.mean()), signature("rouge-l", beta=1, samples=len(hypotheses), tokenizer=tokenizer))


def meteor(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]], tokenizer: str = "whitespace"
) -> Score:
    """Mean of NLTK's METEOR (Lavie and Agarwal 2007), in [0, 1]: words match, then Porter's stems; synonyms do not.

    ``(1 - gamma (chunks / matches)^beta) P R / (alpha P + (1 - alpha) R)``. METEOR proper matches WordNet's synonyms
    too, which would have to be downloaded: these values are lower, and to be compared with each other alone. Case does
    not count, as in NLTK.

    Raises:
        UserError: no hypotheses, or not as many as references.
    """
    import nltk  # a second or two, only for those who ask
    from nltk.translate.meteor_score import single_meteor_score

    require_pairs(hypotheses, references, "METEOR")
    stemmer, wordnet = _CachedStemmer(), _NoSynonyms()
    values = [
        single_meteor_score(theirs, ours, stemmer=stemmer, wordnet=wordnet, **METEOR)
        for ours, theirs in zip(hypotheses, references, strict=True)
    ]
    settings = {"case": "lower", "stemmer": "porter", "synonyms": "none", **METEOR, "nltk": nltk.__version__}
    value = float(np.mean(values))
    return Score(value, signature("meteor", **settings, samples=len(hypotheses), tokenizer=tokenizer))


def common_subsequences(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> Int[np.ndarray, " pairs"]:
    """Length of the longest common subsequence of each pair, all pairs at once.

    Row i of the table ``L[i, j]`` (of the first i words against the first j) is the running maximum over j of
    ``L[i-1, j-1] + 1`` where the words match and ``L[i-1, j]`` where not.
    """
    vocabulary: defaultdict[str, int] = defaultdict()
    vocabulary.default_factory = vocabulary.__len__
    ours = _padded([[vocabulary[word] for word in sentence] for sentence in hypotheses], padding=-1)
    theirs = _padded([[vocabulary[word] for word in sentence] for sentence in references], padding=-2)
    lengths = np.zeros((len(theirs), theirs.shape[1] + 1), dtype=np.int64)
    for words in ours.T:
        extended = np.where(words[:, None] == theirs, lengths[:, :-1] + 1, lengths[:, 1:])
        lengths[:, 1:] = np.maximum.accumulate(extended, axis=1)
    return lengths[:, -1]


def require_pairs(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]], metric: str) -> None:
    """Refuses what is not one reference, a list of words, for each of one or more hypotheses."""
    if len(hypotheses) != len(references):
        sizes = f"the numbers of hypotheses (={len(hypotheses)}) and of references (={len(references)})"
        raise UserError(f"{sizes} for {metric} must be the same")
    if len(hypotheses) == 0:
        raise UserError(f"there are no hypotheses (0) for {metric}; at least one is needed")
    for number, sentence in enumerate(chain(hypotheses, references)):
        if isinstance(sentence, str):
            what = f"{'reference' if number >= len(hypotheses) else 'hypothesis'} {number % len(hypotheses)}"
            raise UserError(f"{what} is a plain string; accepted: a sequence of words, as in sentence.split()")


def bleu_metric(order: int) -> BLEU:
    """sacreBLEU's BLEU of lines whose words are separated by spaces."""
    return BLEU(tokenize="none", smooth_method="none", max_ngram_order=order, force=True)


def as_lines(sentences: Sequence[Sequence[str]]) -> list[str]:
    """Each sentence's words with spaces between, such that they can be taken apart again.

    Raises:
        UserError: a word is empty or has white space in it.
    """
    lines = [" ".join(words) for words in sentences]
    for words, line in zip(sentences, lines, strict=True):
        if len(line.split()) != len(words):
            word = next(word for word in words if word.split() != [word])
            raise UserError(f"a word is {word!r}; BLEU takes words that are not empty and have no white space in them")
    return lines


def _padded(rows: list[list[int]], padding: int) -> np.ndarray:
    """(rows, longest row)"""
    padded = np.full((len(rows), max(map(len, rows))), padding, dtype=np.int64)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    return padded


class _CachedStemmer:
    """Porter's stemmer, asked once a word: it would take most of the time."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self._stem = PorterStemmer().stem
        self._stems: dict[str, str] = {}

    def stem(self, word: str) -> str:
        if word not in self._stems:
            self._stems[word] = self._stem(word)
        return self._stems[word]


class _NoSynonyms:
    """Stands in for WordNet."""

    def synsets(self, word: str) -> list[Any]:
        return []
