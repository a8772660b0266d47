"""Which held-out stories are, in other clothes, training stories; texts are compared without case and punctuation.

Only the held-out stories are held in memory, indexed by what is compared; the training stories stream past.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from textgan.data.story_readers import Story

GRAM = 5
"""Words of the stretches that are compared."""
SHARED = 3
"""Sentences that two of the five may not share."""

_WORD = re.compile(r"[^\W_]+")


def plain_words(text: str) -> list[str]:
    """The words of a text without case and punctuation: "Don't, Al!" gives dont, al."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return _WORD.findall(folded.replace("'", "").replace("’", ""))


def plain(text: str) -> str:
    """A text without case, punctuation and spacing; if nothing else is in it, without case and spacing."""
    return "".join(plain_words(text)) or "".join(text.casefold().split())


def plain_context(story: Story) -> str:
    """The same of a story's context, sentence by sentence."""
    return "\n".join(map(plain, story.sentences))


@dataclass
class Leaks:
    """How many held-out stories are left out, and why: the first reason that holds, in this order."""

    same_context: int = 0
    shared_sentences: int = 0
    near_duplicates: int = 0
    held_out_duplicates: int = 0
    known_endings: int = 0
    """Not left out: held-out endings that a training story has."""
    train_duplicates: int = 0
    """Not left out: training stories that stand there before, context and ending."""


class Overlap:
    """Held-out stories as bags of parts, to be found by a training story that has enough of them."""

    def __init__(self) -> None:
        self._where: dict[str, list[int]] = {}
        self._needed: list[int] = []

    def add(self, parts: Iterable[str], needed: int) -> None:
        """The next held-out story. It is found by `needed` of its parts; repeated ones count each time."""
        number = len(self._needed)
        self._needed.append(needed)
        for part in parts:
            self._where.setdefault(part, []).append(number)

    def found(self, parts: Set[str]) -> Iterator[int]:
        """The numbers of the held-out stories of which a story with these parts has enough."""
        counts = Counter(number for part in parts for number in self._where.get(part, ()))
        return (number for number, count in counts.items() if count >= self._needed[number])


def parts_of(story: Story) -> tuple[str, list[str], list[str]]:
    """A story's plain context, its plain sentences, and its word 5-grams, which run across sentences."""
    texts = (*story.sentences, story.ending)
    words = [word for text in texts for word in plain_words(text)]
    grams = [" ".join(words[i : i + GRAM]) for i in range(len(words) - GRAM + 1)]
    return plain_context(story), [plain(text) for text in texts], grams


def find_leaks(held_out: Iterable[Story], training: Iterable[Story]) -> tuple[set[int], Leaks]:
    """The positions of the held-out stories to leave out, and the count of the reasons.

    A held-out story leaks if a training story has the same context, or at least three of its five sentences, or more
    than half of its word 5-grams. Of held-out stories with equal contexts that do not leak, the first is kept.
    """
    contexts, sentences, grams = [], Overlap(), Overlap()
    endings: list[str] = []
    for story in held_out:
        context, plain_sentences, plain_grams = parts_of(story)
        contexts.append(context)
        endings.append(plain_sentences[-1])
        sentences.add(plain_sentences, SHARED)
        grams.add(plain_grams, len(plain_grams) // 2 + 1)
    asked_contexts, asked_endings = set(contexts), set(endings)
    known_contexts: set[str] = set()
    known_endings: set[str] = set()
    sharing: set[int] = set()
    near: set[int] = set()
    told: set[int] = set()  # a 64-bit hash of each training story
    training_size = 0
    for story in training:
        context, plain_sentences, plain_grams = parts_of(story)
        known_contexts.update({context} & asked_contexts)
        known_endings.update({plain_sentences[-1]} & asked_endings)
        sharing.update(sentences.found(set(plain_sentences)))
        near.update(grams.found(set(plain_grams)))
        told.add(hash((context, plain_sentences[-1])))
        training_size += 1
    leaks, left_out = Leaks(train_duplicates=training_size - len(told)), set()
    seen: set[str] = set()
    for number, context in enumerate(contexts):
        if context in known_contexts:
            leaks.same_context += 1
        elif number in sharing:
            leaks.shared_sentences += 1
        elif number in near:
            leaks.near_duplicates += 1
        elif context in seen:
            leaks.held_out_duplicates += 1
        else:
            seen.add(context)
            leaks.known_endings += endings[number] in known_endings
            continue
        left_out.add(number)
    return left_out, leaks
