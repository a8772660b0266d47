"""The figures of a report: which curves there are in the records of some runs, and how they look throughout the page.

Metrics and losses are drawn under the names they have in the records: a new one needs no change here. How a figure is
drawn is the business of `textgan.drawing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from textgan.drawing import Line, Style, curves, plane, style
from textgan.run_record import RunRecord, Span, number, pairs, scores

PLANES = [
    ("distinct-2", "consistency", "better: right and up"),
    ("distinct-2", "corpus-bleu-2", "better: right and up"),
    *((f"bleu-{n}", f"self-bleu-{n}", "better: right and down") for n in (2, 3, 4, 5)),
    ("recall", "precision", "better: right and up"),
    ("nll-oracle", "nll-test", "better: left and down"),
    ("nll-oracle", "nll-valid", "better: left and down"),
    ("kl-model-oracle", "kl-oracle-model", "better: left and down"),
]
"""Quality against diversity: two metrics, drawn where a run has both, and where in the figure is better."""


class Figure(NamedTuple):
    """A drawing, with what stands above it."""

    title: str
    hint: str
    svg: Markup


def stage_styles(runs: Sequence[RunRecord]) -> list[tuple[RunRecord, Span, Style, str]]:
    """Every run's stages, with looks and names: colours tell runs apart, or the stages where there is one run."""
    several = len(runs) > 1
    return [
        (run, stage, style(i if several else j, j), f"{run.label}: {stage.name}" if several else stage.name)
        for i, run in enumerate(runs)
        for j, stage in enumerate(run.stages)
    ]


def planes(runs: Sequence[RunRecord]) -> list[Figure]:
    """Quality against diversity: the sweep after each stage as a curve, the course of training, real text."""
    found = []
    for x, y, better in PLANES:
        real = pairs([r for run in runs for r in run.of("control") if r["name"] == "real"], x, y)
        sweeps, paths = [], []
        for run, stage, looks, label in stage_styles(runs):
            sweep = {f"{t:g}": record for t, record in run.sweep(stage.name).items()}
            if not sweep and stage.name in run.ends:  # one point, of the model as it is
                sweep = {"": run.ends[stage.name]}
            drawn = {note: pair for note, record in sweep.items() for pair in pairs([record], x, y)}
            sweeps.append(_line(label, looks, drawn.values())._replace(notes=list(drawn)))
            course = [record for record in run.of("metrics") if record["stage"] == stage.name]
            if {"self-bleu", "distinct"} & {x.rpartition("-")[0], y.rpartition("-")[0]}:
                # These depend on the sample's size, which is smaller while training.
                course = []
            paths.append(_line(label, looks, pairs(course, x, y)))
        if any(line.x for line in (*sweeps, *paths)):
            found.append(Figure(f"{y} against {x}", better, plane(x, y, sweeps, paths, list(dict.fromkeys(real)))))
    return found


def metric_curves(runs: Sequence[RunRecord], names: Iterable[str]) -> list[Figure]:
    """A figure for each metric measured in the runs: a line, with the test scores of the stages as points.

    Where a run went back to its last good networks is marked.
    """
    found = []
    marks = [
        Line(f"{run.label}: collapse", style(i), [event["step"] for event in run.rollbacks], [])
        for i, run in enumerate(runs)
        if run.rollbacks
    ]
    for name in names:
        lines: list[Line] = []
        points: list[Line] = []
        for i, run in enumerate(runs):
            for kind, drawn in (("metrics", lines), ("test", points)):
                values = {record["step"]: scores(record)[name] for record in run.of(kind) if name in record["scores"]}
                drawn.append(_line(run.label, style(i), sorted(values.items())))
        if any(line.x for line in (*lines, *points)):
            controls = [r for run in runs for r in run.of("control") if r["name"] == "real" and name in r["scores"]]
            real = sorted({scores(record)[name] for record in controls})
            found.append(Figure(name, "", curves(name, lines, points, runs[0].stages, real, marks)))
    return found


def loss_curves(runs: Sequence[RunRecord]) -> dict[str, list[Figure]]:
    """Figures of every player's terms. A line ends with its stage: the next one may play another game.

    Terms called ``figure/line`` share a figure, told apart by dashes (and, where there is one run, by colours).
    """
    values: dict[tuple[str, str], dict[str, dict[tuple[int, str], dict[int, float]]]] = {}
    for i, run in enumerate(runs):
        for record in run.of("loss"):
            for term, value in record["values"].items():
                figure, _, line = term.partition("/")
                drawn = values.setdefault((record["player"], figure), {}).setdefault(line, {})
                drawn.setdefault((i, record["stage"]), {})[record["step"]] = number(value)
    found: dict[str, list[Figure]] = {}
    for (player, figure), named in values.items():
        lines = [
            _line(
                f"{runs[i].label}, {name}" if name else runs[i].label,
                style(i if len(runs) > 1 else j, j),
                sorted(points.items()),
            )
            for j, (name, of_runs) in enumerate(named.items())
            for (i, _), points in of_runs.items()
        ]
        dashes = ", ".join(f"{style(0, j).dash}: {name}" for j, name in enumerate(named) if name)
        svg = curves(f"{figure} of the {player}", lines, stages=runs[0].stages)
        found.setdefault(player, []).append(Figure(figure, dashes, svg))
    return found


def _line(label: str, looks: Style, points: Iterable[tuple[int | float, float]]) -> Line:
    points = list(points)
    return Line(label, looks, [x for x, _ in points], [y for _, y in points])
