"""Exact BLEU and leave-one-out self-BLEU of whole samples, in time linear in their n-grams (up to a sort).

BLEU clips the count of each n-gram at its largest count in any one reference, so of all references together only
one number an n-gram is needed. Self-BLEU leaves the sentence itself out, so two are needed: the largest count and
the second largest. Hence no sentence is ever compared with another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from textgan.errors import UserError
from textgan.metrics.base import Score, signature
from textgan.metrics.sentences import NGrams, Sentences, Token, as_sentences, highest_order

ORDERS = (2, 3, 4, 5)
"""The n of the BLEU-n that the field reports."""
EPSILON = 0.1
"""Stands for a count of 0 in NLTK's ``SmoothingFunction().method1`` (Chen and Cherry 2014, technique 1)."""


def bleu_per_sentence(
    hypotheses: Sentences | Sequence[Sequence[Token]],
    references: Sentences | Sequence[Sequence[Token]],
    orders: Sequence[int] = ORDERS,
) -> Float[np.ndarray, "sentences orders"]:
    """BLEU-n of each hypothesis against all references, in [0, 1].

    ``BLEU-n = exp(min(0, 1 - r / c)) (p_1 ... p_n)^(1/n)`` (Papineni et al. 2002), where c is the hypothesis's
    length, r the closest reference length (of two equally close, the shorter), and p_k the share of its k-grams,
    clipped, that are in the references; a p_k of 0 is ``0.1 / (number of k-grams, at least 1)``; without a single
    word in common the score is 0. Equal to NLTK's ``sentence_bleu`` with ``SmoothingFunction().method1``.

    Raises:
        UserError: see `as_sentences` and `highest_order`; hypotheses and references have tokens of different kinds.
    """
    highest = highest_order(orders)
    hypotheses, references = as_sentences(hypotheses, highest), as_sentences(references, highest)
    kinds = {hypotheses.token_kind, references.token_kind} - {None}
    if len(kinds) > 1:
        raise UserError(
            f"the hypotheses' tokens are {hypotheses.token_kind}, the references' {references.token_kind}; "
            "accepted: the same kind in both"
        )
    unknown = len(references.vocabulary)
    word = np.array([references.vocabulary.get(token, unknown) for token in hypotheses.vocabulary], dtype=np.int64)
    ids = np.zeros(1, dtype=np.int64)  # in the references, of the hypotheses' (n - 1)-grams; at first, of ()
    matches = []
    for own, theirs in zip(hypotheses.orders[:highest], references.orders, strict=False):
        first, last = np.divmod(own.keys, hypotheses.base)
        ids = theirs.find(ids[first] * references.base + word[last])
        limit = np.append(theirs.largest(), 0)[ids]
        matches.append(clipped(own, limit[own.ngram], len(hypotheses)))
    closest = closest_lengths(hypotheses.lengths, references.lengths)
    return smoothed_bleu(np.stack(matches), hypotheses.lengths, closest, orders)


def self_bleu_per_sentence(
    sentences: Sentences | Sequence[Sequence[Token]], orders: Sequence[int] = ORDERS
) -> Float[np.ndarray, "sentences orders"]:
    """BLEU-n of each sentence against all the others, itself left out (a duplicate of it is not), in [0, 1].

    Raises:
        UserError: see `as_sentences` and `highest_order`; fewer than two sentences.
    """
    highest = highest_order(orders)
    sentences = as_sentences(sentences, highest)
    if len(sentences) < 2:
        raise UserError(f"the number of sentences (={len(sentences)}) for self-BLEU must be at least 2")
    matches = [clipped(own, own.largest_elsewhere(), len(sentences)) for own in sentences.orders[:highest]]
    closest = closest_lengths(sentences.lengths, sentences.lengths, leave_one_out=True)
    return smoothed_bleu(np.stack(matches), sentences.lengths, closest, orders)


def bleu(
    hypotheses: Sentences | Sequence[Sequence[Token]],
    references: Sentences | Sequence[Sequence[Token]],
    orders: Sequence[int] = ORDERS,
    tokenizer: str = "whitespace",
) -> dict[str, Score]:
    """``"bleu-2"``, ...: mean over the hypotheses of `bleu_per_sentence`. `tokenizer` goes into the signature.

    Raises:
        UserError: see `bleu_per_sentence`.
    """
    highest = highest_order(orders)
    hypotheses, references = as_sentences(hypotheses, highest), as_sentences(references, highest)
    means = bleu_per_sentence(hypotheses, references, orders).mean(axis=0)
    sizes = {"samples": len(hypotheses), "references": len(references)}
    return _scores("bleu", means, orders, tokenizer, sizes)


def self_bleu(
    sentences: Sentences | Sequence[Sequence[Token]],
    orders: Sequence[int] = ORDERS,
    tokenizer: str = "whitespace",
) -> dict[str, Score]:
    """``"self-bleu-2"``, ...: mean over the sentences of `self_bleu_per_sentence` (Zhu et al. 2018, but exact).

    Higher is less diverse. `tokenizer` goes into the signature.

    Raises:
        UserError: see `self_bleu_per_sentence`.
    """
    sentences = as_sentences(sentences, highest_order(orders))
    means = self_bleu_per_sentence(sentences, orders).mean(axis=0)
    sizes = {"samples": len(sentences), "references": len(sentences) - 1}
    return _scores("self-bleu", means, orders, tokenizer, sizes)


def _scores(
    name: str, means: np.ndarray, orders: Sequence[int], tokenizer: str, sizes: dict[str, int]
) -> dict[str, Score]:
    return {
        f"{name}-{n}": Score(float(mean), signature(name, n=n, smoothing="method1", **sizes, tokenizer=tokenizer))
        for n, mean in zip(orders, means, strict=True)
    }


def clipped(order: NGrams, limit: np.ndarray, sentences: int) -> np.ndarray:
    """Matches of each sentence: the counts of its n-grams, none above its run's limit, summed. (sentences,)"""
    return np.bincount(order.sentence, weights=np.minimum(order.count, limit), minlength=sentences)


def closest_lengths(lengths: np.ndarray, references: np.ndarray, leave_one_out: bool = False) -> np.ndarray:
    """For each length the closest in `references`, of two equally close the shorter.

    With `leave_one_out`, where `lengths` are the references' own, each is compared with all but itself.
    """
    values, holders = np.unique(references, return_counts=True)
    at_or_above = np.searchsorted(values, lengths)
    below = at_or_above - 1
    if leave_one_out:
        at_or_above = at_or_above + (holders[at_or_above] == 1)
    fence = np.concatenate([values, [np.inf, -np.inf]])  # place len(values): none above; place -1: none below
    shorter, longer = fence[below], fence[at_or_above]
    return np.where(lengths - shorter <= longer - lengths, shorter, longer)


def smoothed_bleu(matches: np.ndarray, lengths: np.ndarray, closest: np.ndarray, orders: Sequence[int]) -> np.ndarray:
    """BLEU from the clipped matches of n = 1, 2, ... (highest, sentences). Returns (sentences, orders)."""
    n = np.arange(1, len(matches) + 1)[:, None]
    precisions = np.where(matches == 0, EPSILON, matches) / np.maximum(lengths - n + 1, 1)
    geometric_means = np.exp(np.cumsum(np.log(precisions), axis=0) / n)
    brevity = np.exp(np.minimum(0, 1 - closest / np.maximum(lengths, 1)))
    scores = np.where(matches[0] == 0, 0.0, brevity * geometric_means)
    return scores[np.array(orders) - 1].T
