"""`ending_scores`: all there is for endings that were written for given contexts, one reference each."""

from __future__ import annotations

from collections.abc import Sequence

from textgan.metrics.base import Score
from textgan.metrics.diversity import DISTINCT_ORDERS, distinct, length, unique
from textgan.metrics.groups import self_bleu_of_groups, unique_of_groups
from textgan.metrics.overlap import bleu_orders, meteor, rouge_l
from textgan.metrics.sentences import Sentences


def ending_scores(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    novelty: Score | None = None,
    groups: Sequence[Sequence[Sequence[str]]] | None = None,
    tokenizer: str = "whitespace",
) -> dict[str, Score]:
    """All there is for one system's endings, in this order.

    corpus-bleu-1 ... 4 (in [0, 100]), rouge-l, meteor, distinct-1 ... 4, unique, novelty (where given), length, and,
    where groups are given, group-self-bleu-2 ... 4 (of groups of two or more) and group-unique. What does not exist
    for these endings, such as distinct-4 of endings of three words, is absent.

    Args:
        hypotheses: one ending a context, its words as they are to be compared.
        references: the true ending of each context.
        novelty: share of the hypotheses that are not word for word a training ending: `novelty` where there is a
            `sentence_set` of the training endings, `novelty_of_hashes` where there are their hashes.
        groups: several endings of each context.

    Raises:
        UserError: see `corpus_bleu`, `Sentences`, `self_bleu_of_groups`.
    """
    scores = bleu_orders(hypotheses, references, tokenizer=tokenizer)
    scores["rouge-l"] = rouge_l(hypotheses, references, tokenizer)
    scores["meteor"] = meteor(hypotheses, references, tokenizer)
    counted = Sentences(hypotheses, highest=max(DISTINCT_ORDERS))
    for n in DISTINCT_ORDERS:
        if counted.total(n):
            scores[f"distinct-{n}"] = distinct(counted, n, tokenizer)
    scores["unique"] = unique(hypotheses, tokenizer)
    if novelty is not None:
        scores["novelty"] = novelty
    scores["length"] = length(counted, tokenizer)
    if groups is not None:
        if min(map(len, groups), default=0) > 1:
            scores |= self_bleu_of_groups(groups, tokenizer=tokenizer)
        scores["group-unique"] = unique_of_groups(groups, tokenizer)
    return scores
