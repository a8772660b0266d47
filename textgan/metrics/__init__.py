"""Metrics: each number a `Score` with the signature of everything that could change it. They know no game."""

from textgan.metrics.base import Score, signature
from textgan.metrics.classifier import CategoryClassifier, category_scores
from textgan.metrics.conditional import ending_scores
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
from textgan.metrics.embedding import embedding_scores
from textgan.metrics.groups import self_bleu_of_groups, unique_of_groups
from textgan.metrics.language_model import KneserNey, forward_perplexity, perplexity, reverse_perplexity
from textgan.metrics.likelihood import kl_both_ways, nll_per_token
from textgan.metrics.ngram import (
    bleu,
    bleu_per_sentence,
    self_bleu,
    self_bleu_per_sentence,
)
from textgan.metrics.overlap import bleu_orders, corpus_bleu, meteor, rouge_l
from textgan.metrics.sentences import Sentences, merged
from textgan.metrics.significance import Comparison, Difference, interval, paired_bootstrap, paired_bootstrap_means

__all__ = [
    "CategoryClassifier",
    "Comparison",
    "Difference",
    "KneserNey",
    "Score",
    "Sentences",
    "bleu",
    "bleu_orders",
    "bleu_per_sentence",
    "category_scores",
    "corpus_bleu",
    "distinct",
    "embedding_scores",
    "ending_scores",
    "entropy",
    "forward_perplexity",
    "interval",
    "kl_both_ways",
    "length",
    "merged",
    "meteor",
    "nll_per_token",
    "novelty",
    "novelty_of_hashes",
    "paired_bootstrap",
    "paired_bootstrap_means",
    "perplexity",
    "repetition",
    "reverse_perplexity",
    "rouge_l",
    "self_bleu",
    "self_bleu_of_groups",
    "self_bleu_per_sentence",
    "sentence_set",
    "signature",
    "text_scores",
    "unique",
    "unique_of_groups",
]
