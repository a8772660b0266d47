"""Sentences held against real ones through the eyes of a pretrained encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TypeVar

from jaxtyping import Float32
from numpy import ndarray

from textgan.evaluation.config import Scores
from textgan.metrics import embedding_scores
from textgan.networks.sentence_encoder import SentenceEncoder

T = TypeVar("T")


class Embedded:
    """Real sentences, which are encoded once, when they are first needed.

    Args:
        encoder: what reads all sentences.
        real: as people write them.
        limit: sentences of a side that are encoded, at most: real ones evenly spaced, as a corpus often is in some
            order, of others the first.
    """

    def __init__(self, encoder: SentenceEncoder, real: Sequence[str], limit: int) -> None:
        self._encoder, self._limit = encoder, limit
        self._sentences = spread(real, limit)

    def scores(self, sentences: Sequence[str]) -> Scores:
        """The `embedding_scores` of sentences.

        Raises:
            UserError: there are fewer than six on a side.
        """
        fake = self._encoder.encode(sentences[: self._limit])
        return embedding_scores(self._real, fake, self._encoder.signature)

    @cached_property
    def _real(self) -> Float32[ndarray, "n d"]:
        return self._encoder.encode(self._sentences)


def spread(items: Sequence[T], n: int) -> list[T]:
    """`n` of the items, evenly spaced, the first among them; all where there are no more."""
    n = min(n, len(items))
    return [items[i * len(items) // n] for i in range(n)]
