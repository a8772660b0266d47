"""Metrics: each number a `Score` with the signature of everything that could change it. They know no game."""

from textgan.metrics.base import Score, signature
from textgan.metrics.diversity import (
    distinct,
    entropy,
    length,
    novelty,
    novelty_of_hashes,
    repetition,
    sentence_set,
    text_scores,
    unique,
)
from textgan.metrics.likelihood import kl_both_ways, nll_per_token
from textgan.metrics.ngram import (
    bleu,
    bleu_per_sentence,
    self_bleu,
    self_bleu_per_sentence,
)
from textgan.metrics.sentences import Sentences

__all__ = [
    "Score",
    "Sentences",
    "bleu",
    "bleu_per_sentence",
    "distinct",
    "entropy",
    "kl_both_ways",
    "length",
    "nll_per_token",
    "novelty",
    "novelty_of_hashes",
    "repetition",
    "self_bleu",
    "self_bleu_per_sentence",
    "sentence_set",
    "signature",
    "text_scores",
    "unique",
]
