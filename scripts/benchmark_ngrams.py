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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from textgan import command_line
from textgan.errors import UserError
from textgan.metrics.ngram import ORDERS, bleu_per_sentence, self_bleu_per_sentence
from textgan.metrics.sentences import Sentences
from textgan.scaling import Captions, exponent, markdown_table, write_results
from textgan.stopwatch import machine

fast_bleu = importlib.import_module("fast_bleu") if importlib.util.find_spec("fast_bleu") else None
WEIGHTS = {n: (1 / n,) * n for n in ORDERS}

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
    sizes: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    """Hypotheses of each row of --growth, and as many references."""
    out: Path | None = None
    """Results of --growth are also written to OUT.json and OUT.md."""


def generate(size: int, seed: int) -> Corpus:
    """Sentences like captions."""
    return Captions(seed).draw(size)


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


def grow(sizes: Sequence[int], seed: int) -> list[dict[str, float]]:
    """Seconds and memory of each size, from the smallest on; prints them as they are measured.

    Peak memory is the process's, the sentences themselves included.
    """
    with_textgan(generate(100, seed), generate(100, seed))  # first calls of NumPy's routines are slower
    measured = []
    for size in sorted(sizes):
        references, hypotheses = generate(size, seed), generate(size, seed + 1)
        before = _peak_mib()
        seconds, _ = timed(with_textgan, references, hypotheses)
        row = {"sentences": size, "tokens": sum(map(len, hypotheses)) + sum(map(len, references)), "seconds": seconds}
        measured.append({**row, "peak_mib": _peak_mib(), "lists_mib": before})
        print(growth_table(measured[-1:]).splitlines()[-1], flush=True)
    return measured


def growth_table(measured: Sequence[Mapping[str, float]]) -> str:
    """The table of a growth, as Markdown. The exponent is that of the step from the row above."""
    rows = []
    for i, row in enumerate(measured):
        before = measured[max(i - 1, 0) : i + 1]
        rows.append(
            {
                "sentences": f"{row['sentences']:,}",
                "tokens": f"{row['tokens']:,}",
                "seconds": f"{row['seconds']:.3f}",
                "µs a token": f"{row['seconds'] / row['tokens'] * 1e6:.2f}",
                "exponent": f"{_exponent(before):.2f}" if i else "",
                "peak MiB": f"{row['peak_mib']:,.0f}",
                "of them lists": f"{row['lists_mib']:,.0f}",
            }
        )
    return markdown_table(rows)


def publish_growth(arguments: Arguments) -> None:
    """Measures, prints and, if asked, writes how time and memory grow."""
    print("| sentences | tokens | seconds | µs a token | exponent | peak MiB | of them lists |")
    measured = grow(arguments.sizes, arguments.seed)
    described = machine(torch.device("cpu"))
    text = (
        f"`python scripts/benchmark_ngrams.py --growth`: BLEU-2..5 and self-BLEU-2..5 together, as many references as "
        f"sentences, one thread of {described['cpu']}, NumPy {np.__version__}\n\n{growth_table(measured)}"
    )
    results: dict[str, Any] = {"machine": described, "seed": arguments.seed, "rows": measured}
    if len(measured) > 1:
        results["exponent"] = _exponent(measured)
        text += f"\nseconds ~ sentences^{results['exponent']:.2f} (least squares of the logarithms; 1 is linear)\n"
    print(f"\n{text}")
    if arguments.out is not None:
        write_results(arguments.out, results, text)


def _exponent(measured: Sequence[Mapping[str, float]]) -> float:
    return exponent([row["sentences"] for row in measured], [row["seconds"] for row in measured])


def _peak_mib() -> float:
    """Largest memory that this process has held so far (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(argv: list[str]) -> None:
    """What the command line asks for."""
    arguments = command_line.parse(Arguments, argv, "benchmark_ngrams.py", __doc__)
    if arguments.growth:
        return publish_growth(arguments)
    if arguments.out is not None:
        raise UserError(f"--out {arguments.out} is for the results of --growth")
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
