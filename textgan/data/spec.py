"""What a game must know of its data."""

from __future__ import annotations

from dataclasses import dataclass

NONE = -1
"""Stands for a mark that the token set lacks: no token ever equals it, so every comparison with it is False."""


@dataclass(frozen=True)
class TextSpec:
    """A sentence is a row of ``length`` token ids: its words, the end mark, then padding.

    The begin mark is never stored; a generator is fed it before the first token. The oracle's sentences have a
    fixed length: no end mark, no padding, and a begin mark that is also a word.
    """

    vocab_size: int
    """V: number of token ids, marks included."""
    length: int
    """T: tokens of the longest sentence, end mark included."""
    train_size: int
    """Sentences in the training split."""
    bos: int = 1
    eos: int = 2
    pad: int = 0
    unk: int = 3

    @property
    def never(self) -> tuple[int, ...]:
        """Token ids that no generator may emit: padding and the begin mark (where it is not also a word)."""
        return () if self.eos == NONE else (self.pad, self.bos)


@dataclass(frozen=True)
class StorySpec(TextSpec):
    """Stories: a context of several sentences and an ending. `length` is the ending's, `train_size` counts stories."""

    sentences: int = 4
    """S: sentences of a context."""
    sentence_length: int = 32
    """L: tokens of the longest sentence of a context; no marks are stored there."""


@dataclass(frozen=True)
class LabelledSpec(TextSpec):
    """Sentences of K categories; a sentence's category is its place among the names."""

    categories: tuple[str, ...] = ()
    """The K names, sorted."""
