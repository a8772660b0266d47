"""Times BLEU-2..5 and self-BLEU-2..5 of textgan against NLTK and, where it is installed, fast_bleu.

All are run in this process on the same sentences: a first half as references, a second half as hypotheses. NLTK is
run on a few hypotheses and extrapolated, as it would take hours. The largest difference of any sentence's value is
printed beside the times. For one core, start it with ``taskset -c 0``.
"""

from __future__ import annotations

import gc
import importlib.util
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from textgan import command_line
from textgan.errors import UserError
from textgan.metrics.ngram import ORDERS, bleu_per_sentence, self_bleu_per_sentence
from textgan.metrics.sentences import Sentences

fast_bleu = importlib.import_module("fast_bleu") if importlib.util.find_spec("fast_bleu") else None
WEIGHTS = {n: (1 / n,) * n for n in ORDERS}
SIZES = (1_000, 10_000, 100_000, 1_000_000)

Corpus = list[list[str]]


@dataclass(frozen=True)
class Arguments:
    corpus: Path | None = None
    """Text file, one sentence a line, words parted by spaces. Without it, sentences are generated."""
    size: int = 10_000
    """Hypotheses, and as many references."""
    nltk_size: int = 10
    """Hypotheses that NLTK scores, for its time and for the comparison of values."""
    seed: int = 0
    """Of the generated sentences."""
    growth: bool = False
    """Instead, time and peak memory of textgan alone on 1,000 to 1,000,000 generated sentences."""


def generate(size: int, seed: int) -> Corpus:
    """Sentences like captions: a Markov chain over 6,000 words whose frequencies are Zipf's, 8 tokens and up."""
    rng = np.random.default_rng(seed)
    words, successors = 6_000, 120
    zipf = 1 / np.arange(1, words + 1)
    follows = rng.choice(words, size=(words, successors), p=zipf / zipf.sum())
    ranks = 1 / np.arange(1, successors + 1)
    lengths = 8 + rng.poisson(2.5, size)
    chain = np.empty((size, lengths.max()), dtype=np.int64)
    chain[:, 0] = rng.choice(20, size)
    for t in range(1, chain.shape[1]):
        chain[:, t] = follows[chain[:, t - 1], rng.choice(successors, size, p=ranks / ranks.sum())]
    names = [f"word{i}" for i in range(words)]
    return [[names[i] for i in row[:n]] for row, n in zip(chain, lengths, strict=True)]


def timed(run: Callable[..., Any], *args: Any) -> tuple[float, Any]:
    """Seconds, and what it returned."""
    gc.collect()
    start = time.perf_counter()
    result = run(*args)
    return time.perf_counter() - start, result


def with_textgan(references: Corpus, hypotheses: Corpus) -> np.ndarray:
    """(hypotheses, BLEU-2..5 then self-BLEU-2..5)"""
    sample = Sentences(hypotheses)
    return np.hstack([bleu_per_sentence(sample, Sentences(references)), self_bleu_per_sentence(sample)])


def with_fast_bleu(references: Corpus, hypotheses: Corpus) -> np.ndarray:
    """As `with_textgan`."""
    assert fast_bleu is not None
    scores = fast_bleu.BLEU(references, WEIGHTS).get_score(hypotheses)
    self_scores = fast_bleu.SelfBLEU(hypotheses, WEIGHTS).get_score()
    return np.array([*(scores[n] for n in ORDERS), *(self_scores[n] for n in ORDERS)]).T


def with_nltk(references: Corpus, hypotheses: Corpus, size: int) -> np.ndarray:
    """As `with_textgan`, of the first `size` hypotheses."""
    smoothing, weights = SmoothingFunction().method1, list(WEIGHTS.values())
    return np.array(
        [
            [
                *sentence_bleu(references, hypothesis, weights, smoothing),
                *sentence_bleu(hypotheses[:i] + hypotheses[i + 1 :], hypothesis, weights, smoothing),
            ]
            for i, hypothesis in enumerate(hypotheses[:size])
        ]
    )


def compare(references: Corpus, hypotheses: Corpus, nltk_size: int) -> None:
    """Prints the table of times, ratios and differences."""
    with_textgan(references, hypotheses)  # first calls of NumPy's routines are slower
    seconds, ours = timed(with_textgan, references, hypotheses)
    print(f"BLEU-2..5 and self-BLEU-2..5 of {len(hypotheses):,} hypotheses, {len(references):,} references")
    print(f"{'':<12}{'seconds':>12}{'times ours':>12}{'largest difference':>22}")
    print(f"{'textgan':<12}{seconds:>12.3f}{1:>12,}{'':>22}")
    if fast_bleu is None:
        print(f"{'fast_bleu':<12}{'not installed':>24}")
    else:
        theirs, values = timed(with_fast_bleu, references, hypotheses)
        print(f"{'fast_bleu':<12}{theirs:>12.3f}{theirs / seconds:>12,.0f}{np.abs(values - ours).max():>22.1e}")
    some, values = timed(with_nltk, references, hypotheses, nltk_size)
    theirs, difference = some / len(values) * len(hypotheses), np.abs(values - ours[: len(values)]).max()
    print(f"{'nltk':<12}{theirs:>12,.0f}{theirs / seconds:>12,.0f}{difference:>22.1e}", end="")
    print(f"   extrapolated from {len(values)} hypotheses in {some:.2f} s")


def grow(seed: int) -> None:
    """Prints how time and memory grow. Peak memory is the process's, the sentences themselves included."""
    print(f"{'sentences':>12}{'tokens':>12}{'seconds':>10}{'µs a token':>12}{'peak MiB':>10}{'lists alone':>13}")
    for size in SIZES:
        references, hypotheses = generate(size, seed), generate(size, seed + 1)
        tokens = sum(map(len, hypotheses)) + sum(map(len, references))
        before = _peak_mib()
        seconds, _ = timed(with_textgan, references, hypotheses)
        print(f"{size:>12,}{tokens:>12,}{seconds:>10.3f}{seconds / tokens * 1e6:>12.2f}", end="")
        print(f"{_peak_mib():>10,.0f}{before:>13,.0f}", flush=True)


def _peak_mib() -> float:
    """Largest memory that this process has held so far (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(argv: list[str]) -> None:
    """What the command line asks for."""
    arguments = command_line.parse(Arguments, argv, "benchmark_ngrams.py", __doc__)
    if arguments.growth:
        return grow(arguments.seed)
    if arguments.corpus is None:
        sentences = generate(2 * arguments.size, arguments.seed)
    else:
        sentences = [line.split() for line in arguments.corpus.read_text("utf-8").splitlines()]
    size = min(arguments.size, len(sentences) // 2)
    if size < 2:
        raise UserError(f"the corpus has {len(sentences)} sentences; at least 4 are needed")
    return compare(sentences[:size], sentences[size : 2 * size], arguments.nltk_size)


if __name__ == "__main__":
    command_line.run(main)
