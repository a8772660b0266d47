"""How a cost grows with size: sentences made on the spot, the exponent of growth, and tables of results as files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

WORDS, SUCCESSORS = 6_000, 120


class Captions:
    """Sentences like captions: a Markov chain over 6,000 words whose frequencies are Zipf's, 8 tokens and up.

    What is drawn later comes from the same chain. The memory of a draw is that of its sentences.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        zipf = 1 / np.arange(1, WORDS + 1)
        self._follows = self._rng.choice(WORDS, size=(WORDS, SUCCESSORS), p=zipf / zipf.sum())
        self._names = [f"word{i}" for i in range(WORDS)]

    def draw(self, size: int) -> list[list[str]]:
        """So many sentences, as lists of words."""
        rng = self._rng
        ranks = 1 / np.arange(1, SUCCESSORS + 1)
        lengths = 8 + rng.poisson(2.5, size)
        chain = np.empty((size, lengths.max()), dtype=np.int64)
        chain[:, 0] = rng.choice(20, size)
        for t in range(1, chain.shape[1]):
            chain[:, t] = self._follows[chain[:, t - 1], rng.choice(SUCCESSORS, size, p=ranks / ranks.sum())]
        rows = zip(chain.tolist(), lengths.tolist(), strict=True)
        return [[self._names[i] for i in row[:n]] for row, n in rows]


def exponent(sizes: Sequence[float | int], costs: Sequence[float | int]) -> float:
    """The b of ``cost = a size^b``, by least squares of the logarithms: 1 is linear growth, 2 quadratic."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows of cells by column, all columns those of the first row, numbers to the right."""
    names = list(rows[0])
    lines = [names, ["---:"] * len(names), *([row[name] for name in names] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_results(out: Path, results: Mapping[str, Any], markdown: str) -> None:
    """Writes ``out.json`` for machines and ``out.md`` for people; their folder is made where there is none."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_name(f"{out.name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    out.with_name(f"{out.name}.md").write_text(markdown, encoding="utf-8")
