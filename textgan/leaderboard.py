"""A leaderboard of many runs: systems against corpora, means and intervals over seeds, and the curves behind them.

Run folders are named ``<corpus>/<system>-<seed>``. Each is read as the trainer wrote it; no network is built and torch
is not imported. A row is a system at one sampling temperature. Beside every number stands what frames it: real text,
random words, the likelihood model over a sweep of temperatures and, where there is one, the published figure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from textgan.errors import UserError
from textgan.run_record import RunRecord, read_run


@dataclass
class Row:
    """A system on a corpus at a temperature: for each metric one value a seed, in the order of the seeds."""

    corpus: str
    system: str
    temperature: float | None = 1.0
    seeds: list[int] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    """Of each metric, in the first run."""
    seconds: list[float] = field(default_factory=list)
    """Of training, measurements included."""
    rollbacks: list[int] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    """Why runs ended before their plan did."""

    @property
    def label(self) -> str:
        """The system, and its temperature where that is not 1."""
        if self.temperature in (1.0, None):
            return self.system
        return f"{self.system}, temperature {self.temperature:g}"

    @property
    def is_control(self) -> bool:
        """Whether it is no system, but what frames them: real ones, random ones, what takes no learning."""
        return self.temperature is None

    def add(self, seed: int, scores: Mapping[str, Any]) -> None:
        """One more seed's scores."""
        self.put(seed, {name: math.nan if s["value"] is None else s["value"] for name, s in scores.items()})
        for metric, score in scores.items():
            self.signatures.setdefault(metric, score["signature"])

    def put(self, seed: int, values: Mapping[str, float]) -> None:
        """One more seed's values; nan where it has none of a metric that another seed has."""
        for metric in self.values.keys() | values.keys():
            known = self.values.setdefault(metric, [math.nan] * len(self.seeds))
            known.append(values.get(metric, math.nan))
        self.seeds.append(seed)


def collect(folder: Path, baseline: str | None = None) -> list[Row]:
    """The rows of all finished runs under `folder`, and of runs that stopped with a reason.

    `baseline` is the system, if any, whose curve over temperatures the others are held against.

    Raises:
        UserError: there is none.
    """
    rows: dict[tuple[str, str, float | None], Row] = {}
    for path in sorted(folder.glob("*/*-*/config.yaml")):
        corpus, (system, seed) = path.parent.parent.name, path.parent.name.rsplit("-", 1)
        record = read_run(path.parent)
        if not (path.parent / "model.safetensors").exists():
            continue
        for temperature, scores in _final(record).items():
            row = rows.setdefault((corpus, system, temperature), Row(corpus, system, temperature))
            row.add(int(seed), scores)
            row.seconds.append(max(r["seconds"] for r in record.records))
            row.rollbacks.append(len(record.rollbacks))
            row.stopped += [e["message"] for e in record.of("event")[-1:] if e["message"].startswith("stopped")]
        for control in record.of("control"):
            row = rows.setdefault((corpus, control["name"], None), Row(corpus, control["name"], None))
            if int(seed) not in row.seeds:
                row.add(int(seed), control["scores"])
    if not rows:
        raise UserError(f"{folder} holds no finished run: folders CORPUS/SYSTEM-SEED are expected")
    for row in rows.values():
        _gain(row, rows, baseline)
    return sorted(rows.values(), key=lambda row: _order(row, baseline))


def beside(rows: Sequence[Row], earlier: Iterable[Row], baseline: str | None = None) -> list[Row]:
    """`rows`, to which the seeds that only an `earlier` row of the same name has are added, and the other earlier rows.

    The gains of earlier rows are against the baseline of that time.
    """
    known = {(row.corpus, row.system, row.temperature): row for row in rows}
    for old in earlier:
        row = known.setdefault((old.corpus, old.system, old.temperature), Row(old.corpus, old.system, old.temperature))
        new = [i for i, seed in enumerate(old.seeds) if seed not in row.seeds]
        for i in new:
            row.put(old.seeds[i], {metric: values[i] for metric, values in old.values.items() if i < len(values)})
        for metric, text in old.signatures.items():
            row.signatures.setdefault(metric, text)
        row.seconds += [old.seconds[i] for i in new if i < len(old.seconds)]
        row.rollbacks += [old.rollbacks[i] for i in new if i < len(old.rollbacks)]
        row.stopped += [reason for reason in old.stopped if new and reason not in row.stopped]
    return sorted(known.values(), key=lambda row: _order(row, baseline))


def _final(record: RunRecord) -> dict[float | None, dict[str, Any]]:
    """The test scores at the end of the last stage, by temperature."""
    tests = record.of("test")
    if not tests:
        return {}
    last = tests[-1]["stage"]
    found: dict[float | None, dict[str, Any]] = {1.0: tests[-1]["scores"]}
    return {t: r["scores"] for t, r in record.sweep(last).items()} | found


GAINS = {"kl-model-oracle": "kl-oracle-model", "kl-oracle-model": "kl-model-oracle"}
"""On an oracle, where both are exact: the gain in the first at the baseline's value of the second."""


def _gain(row: Row, rows: Mapping[tuple[str, str, float | None], Row], baseline: str | None) -> None:
    """How far a row lies below the baseline's curve, seed by seed: ``gain in M``, positive where it is better.

    The curve runs through the baseline's temperatures, straight between them. Where a row is better in the other metric
    than every point of the curve, the gain is counted from the curve's end, which it passes by.
    """
    curve = [r for (corpus, system, _), r in rows.items() if corpus == row.corpus and system == baseline]
    if row.system == baseline or not curve:
        return
    for metric, other in GAINS.items():
        if metric not in row.values or any(metric not in r.values for r in curve):
            continue
        gains = []
        for i, seed in enumerate(row.seeds):
            points = sorted(
                (r.values[other][r.seeds.index(seed)], r.values[metric][r.seeds.index(seed)])
                for r in curve
                if seed in r.seeds
            )
            gains.append(curve_at(points, row.values[other][i]) - row.values[metric][i] if points else math.nan)
        row.values[f"gain in {metric}"] = gains


def curve_at(points: Sequence[tuple[float, float]], x: float) -> float:
    """The lowest y that the curve through `points` (sorted by x) offers for at most x; beyond its left end, that end's.

    A tempered model may be had at any temperature, so a system is only better at x if no point of the curve with an
    x as small has a y as small.
    """
    xs, ys = np.array(points).T
    if x <= xs[0]:
        return float(ys[0])
    at = float(np.interp(x, xs, ys))
    return min(at, float(ys[xs <= x].min()))


def _order(row: Row, baseline: str | None) -> tuple[str, int, str, float]:
    """Real ones, other controls, the baseline, all else."""
    rank = 0 if row.system == "real" else 1 if row.is_control else 2 if row.system == baseline else 3
    return row.corpus, rank, row.system, -(row.temperature or 1.0)


def interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and half-width of Student's 95% interval over seeds (None for one seed), of the values that are numbers."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return math.nan, None
    mean = float(np.mean(known))
    if len(known) == 1:
        return mean, None
    return mean, float(stats.t.ppf(0.975, len(known) - 1) * np.std(known, ddof=1) / math.sqrt(len(known)))


def as_text(values: Sequence[float], digits: int = 3) -> str:
    """``mean ± half-width``; the mean alone of one seed; a dash of none. Large numbers have no decimals."""
    mean, half = interval(values)
    if math.isnan(mean):
        return "–"
    digits = digits if abs(mean) < 100 else 0
    return f"{mean:.{digits}f}" if half is None else f"{mean:.{digits}f} ± {half:.{digits}f}"


def as_json(rows: Iterable[Row]) -> str:
    """Every number of every seed, with its signature; a row a line."""
    return "[\n" + ",\n".join(json.dumps(vars(row), ensure_ascii=False) for row in rows) + "\n]\n"


def from_json(text: str) -> list[Row]:
    """What `as_json` has written."""
    return [Row(**row) for row in json.loads(text)]
