"""How varied the several endings of one context are, and that on average over the contexts.

Endings of different contexts differ for that reason alone. Whether a generator knows more than one way to end a story
shows within a group: the n endings it has written for the same context.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from textgan.errors import UserError
from textgan.metrics.base import Score, signature
from textgan.metrics.diversity import sentence_set
from textgan.metrics.ngram import clipped, closest_lengths, smoothed_bleu
from textgan.metrics.sentences import Sentences, Token, highest_order

GROUP_ORDERS = (2, 3, 4)


def self_bleu_of_groups(
    groups: Sequence[Sequence[Sequence[Token]]],
    orders: Sequence[int] = GROUP_ORDERS,
    tokenizer: str = "whitespace",
) -> dict[str, Score]:
    """``"group-self-bleu-2"``, ...: mean over the groups of `self_bleu` within each group, in [0, 1].

    Higher is less diverse; it rises with a group's size. All groups are counted at once: words of different groups are
    made different words, and lengths of different groups are moved too far apart to be the closest.

    Raises:
        UserError: no groups; a group of fewer than two; see also `Sentences` and `highest_order`.
    """
    highest = highest_order(orders)
    sizes = _sizes(groups, least=2, metric="self-BLEU of groups")
    group = np.repeat(np.arange(len(groups)), sizes)
    sentences = _apart(groups, highest)
    matches = [clipped(own, own.largest_elsewhere(), len(sentences)) for own in sentences.orders]
    apart = group * (2 * sentences.lengths.max() + 1)
    lengths = sentences.lengths + apart
    closest = closest_lengths(lengths, lengths, leave_one_out=True) - apart
    per_sentence = smoothed_bleu(np.stack(matches), sentences.lengths, closest, orders)
    per_group = np.add.reduceat(per_sentence, np.cumsum(sizes) - sizes) / sizes[:, None]
    settings = {"smoothing": "method1", **_described(sizes), "tokenizer": tokenizer}
    return {
        f"group-self-bleu-{n}": Score(float(mean), signature("group-self-bleu", n=n, **settings))
        for n, mean in zip(orders, per_group.mean(axis=0), strict=True)
    }


def unique_of_groups(groups: Sequence[Sequence[Sequence[Token]]], tokenizer: str = "whitespace") -> Score:
    """Mean over the groups of (different endings / all endings), in (0, 1].

    Raises:
        UserError: no groups; an empty group.
    """
    sizes = _sizes(groups, least=1, metric="unique of groups")
    different = np.array([len(sentence_set(group)) for group in groups])
    return Score(float((different / sizes).mean()), signature("group-unique", **_described(sizes), tokenizer=tokenizer))


def _sizes(groups: Sequence[Sequence[Sequence[Token]]], least: int, metric: str) -> np.ndarray:
    if len(groups) == 0:
        raise UserError(f"there are no groups (0) for {metric}; at least one is needed")
    sizes = np.array([len(group) for group in groups])
    if sizes.min() < least:
        raise UserError(f"group {sizes.argmin()} has {sizes.min()} sentences; {metric} needs at least {least}")
    return sizes


def _apart(groups: Sequence[Sequence[Sequence[Token]]], highest: int) -> Sentences:
    """The sentences of all groups, such that no two groups have a word in common."""
    words = Sentences(list(chain.from_iterable(groups)), highest=1).vocabulary
    return Sentences(
        [
            [number * len(words) + words[token] for token in sentence]
            for number, group in enumerate(groups)
            for sentence in group
        ],
        highest,
    )


def _described(sizes: np.ndarray) -> dict[str, int | str]:
    smallest, largest = sizes.min(), sizes.max()
    return {"groups": len(sizes), "size": str(smallest) if smallest == largest else f"{smallest}-{largest}"}
