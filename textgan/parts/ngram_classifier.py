"""A discriminator that is no network: a scikit-learn classifier on the n-grams of a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from torch import Tensor

from textgan.data.spec import TextSpec
from textgan.errors import check_at_least, check_fields
from textgan.parts.pools import Pool
from textgan.shards import Store

MIXER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio, odd: multiplicative hashing (Knuth, volume 3, section 6.4)."""
SUREST = 7.0
"""Largest log-odds of a classifier that gives frequencies, where a frequency of 0 or 1 would be infinitely sure."""


@dataclass(frozen=True)
class ClassifierConfig:
    """The classifier, what it sees of a sentence, and from how many sentences it learns."""

    kind: Literal["naive_bayes", "linear_svm", "logistic_regression", "random_forest"] = "logistic_regression"
    """naive_bayes: multinomial. random_forest: 100 trees. All with scikit-learn's settings."""
    ngrams: int = 3
    """Longest n-grams whose counts it sees."""
    bits: int = 16
    """Counts are kept in 2^bits places, which n-grams share by a hash."""
    pool_size: int = 1280
    """Newest real sentences that it learns from, and as many fakes."""

    def __post_init__(self) -> None:
        group = "game.classifier"
        check_at_least(1, group, self, "ngrams", "pool_size")
        check_fields(group, self, "from 1 to 30", lambda bits: 1 <= bits <= 30, "bits")


class NgramClassifier(Store):
    """Learns at once, from its pools, to tell real sentences from fakes.

    What it has learned follows from the sentences of the last `fit`, which are buffers, and nothing else; a checkpoint
    of these is one of the classifier. It is fitted anew when its scores are asked for after a checkpoint was loaded.
    """

    real: Tensor
    fake: Tensor
    count: Tensor

    def __init__(self, config: ClassifierConfig, spec: TextSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        self.met = Pool(config.pool_size, spec.length)
        for name in ("real", "fake"):
            self.register_buffer(name, torch.zeros_like(self.met.items))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self._fitted: Any = None
        self.register_load_state_dict_post_hook(lambda module, keys: module.forget())

    def meet(self, real: Int[Tensor, "batch length"]) -> None:
        """Keep real sentences for the next `fit`."""
        self.met.add(real[: self.met.size])

    def fit(self, fakes: Int[Tensor, "n length"]) -> None:
        """Learn to tell the real sentences met last from as many fakes, `n` being at least their number."""
        count = min(self.met.held, len(fakes))
        self.count.fill_(count)
        self.real[:count] = self.met.items[:count]
        self.fake[:count] = fakes[:count].to(self.fake.dtype)
        self.forget()

    def forget(self) -> None:
        """Learn from the buffers before the next score."""
        self._fitted = None

    def forward(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, " batch"]:
        """Log-odds of being real, an SVM's signed distance instead; 0 before the first `fit`. Without gradient."""
        if self.count == 0:
            return torch.zeros(len(tokens), device=tokens.device)
        if self._fitted is None:
            n = int(self.count)
            sentences = torch.cat([self.real[:n], self.fake[:n]])
            self._fitted = _new(self.config.kind).fit(self._features(sentences), np.arange(2 * n) < n)
        features = self._features(tokens)
        if hasattr(self._fitted, "decision_function"):
            odds = self._fitted.decision_function(features)
        else:
            with np.errstate(divide="ignore"):
                fake, real = self._fitted.predict_log_proba(features).T
            odds = (real - fake).clip(-SUREST, SUREST) if self.config.kind == "random_forest" else real - fake
        return torch.from_numpy(odds).float().to(tokens.device)

    def _features(self, tokens: Tensor) -> csr_matrix:
        return ngram_counts(tokens.cpu().numpy(), self.spec.pad, self.config.ngrams, self.config.bits)


def ngram_counts(tokens: Int[np.ndarray, "batch length"], pad: int, longest: int, bits: int) -> csr_matrix:
    """How often each n-gram of up to `longest` tokens stands in a sentence: ``(batch, 2^bits)``, float64.

    N-grams are hashed: two that fall on one place are counted together. The end mark is a token; padding is none.
    """
    rows, places = [], []
    codes = np.zeros(tokens.shape, np.uint64)
    for n in range(1, min(longest, tokens.shape[1]) + 1):
        ends = tokens[:, n - 1 :]
        with np.errstate(over="ignore"):  # the hash is modulo 2^64
            codes = (codes[:, : ends.shape[1]] + ends.astype(np.uint64) + np.uint64(1)) * MIXER
            codes ^= codes >> np.uint64(29)
        row, place = (ends != pad).nonzero()
        rows.append(row)
        places.append((codes * MIXER)[row, place] >> np.uint64(64 - bits))
    where = np.concatenate(rows), np.concatenate(places).astype(np.int64)
    return csr_matrix((np.ones(len(where[0])), where), (len(tokens), 1 << bits))


def _new(kind: str) -> Any:
    # scikit-learn takes a second to import.
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.svm import LinearSVC

    return {
        "naive_bayes": MultinomialNB,
        "linear_svm": lambda: LinearSVC(random_state=0, max_iter=10_000),
        "logistic_regression": lambda: LogisticRegression(max_iter=1000),
        "random_forest": lambda: RandomForestClassifier(random_state=0),
    }[kind]()
