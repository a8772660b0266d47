"""The leaderboard as Markdown and as one HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from textgan.checkpoint import write_atomically
from textgan.drawing import Line, plane, style
from textgan.figures import PLANES, Figure
from textgan.leaderboard import Row, as_json, as_text, beside, collect, from_json, interval

COLUMNS = (
    "nll-oracle", "nll-test", "kl-oracle-model", "kl-model-oracle", "gain in kl-oracle-model",
    "gain in kl-model-oracle", "bleu-2", "bleu-3", "bleu-4", "bleu-5", "self-bleu-2", "self-bleu-3", "self-bleu-4",
    "self-bleu-5", "distinct-2", "unique", "novelty", "repetition", "reverse-ppl", "forward-ppl", "mae", "psnr", "ssim",
    "frechet-distance", "mmd-rbf", "mmd-cubic", "wasserstein-distance", "mauve", "1nn-accuracy", "precision", "recall",
    "density", "coverage", "inception-score", "mode-score", "modes-covered", "code-match", "precision-at-5",
    "category-accuracy", "caption-accuracy-bold", "caption-accuracy-tall", "caption-accuracy-wide",
    "marginal-distance", "autocorrelation-error", "volatility-error", "kurtosis",
)  # fmt: skip
"""Metrics that have a column, where any row has them, in this order. All others are in the results file."""

OF_ORACLES = (*COLUMNS[:6], "self-bleu-2", "distinct-2", "reverse-ppl")
"""The columns of the Markdown table where the density is known: what else is measured then says less."""


class Published(NamedTuple):
    """Figures of the literature: corpus -> system -> metric -> value."""

    figures: Mapping[str, Mapping[str, Mapping[str, float]]]

    def of(self, corpus: str, system: str, metric: str) -> str:
        """The figure as text; nothing if there is none."""
        value = self.figures.get(corpus, {}).get(system, {}).get(metric)
        return "" if value is None else f"{value:g}"


def columns(rows: Sequence[Row]) -> list[str]:
    """The metrics that these rows have."""
    return [name for name in COLUMNS if any(name in row.values for row in rows)]


def corpora(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each corpus."""
    return {corpus: [row for row in rows if row.corpus == corpus] for corpus in dict.fromkeys(r.corpus for r in rows)}


def markdown(rows: Sequence[Row], published: Published) -> str:
    """A table a corpus: mean and 95% interval over seeds; under it, what the figures mean."""
    parts = []
    for corpus, some in corpora(rows).items():
        names = columns(some)
        if "nll-oracle" in names:
            names = [name for name in names if name in OF_ORACLES]
        cited = [name for name in names if any(published.of(corpus, row.label, name) for row in some)]
        head = ["system", *names, *(f"published {name}" for name in cited), "minutes", "rollbacks", "seeds"]
        lines = [f"### {corpus}", "", f"| {' | '.join(head)} |", f"|---{'|---:' * (len(head) - 1)}|"]
        for row in some:
            cells = [as_text(row.values.get(name, [])) for name in names]
            cells += [published.of(corpus, row.label, name) for name in cited]
            cells += [as_text([s / 60 for s in row.seconds], 1), str(sum(row.rollbacks)), str(len(set(row.seeds)))]
            lines.append(f"| {row.label} | {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def outside(rows: Sequence[Row]) -> list[Row]:
    """Rows whose gain over the tempered baseline is above 0 over its whole interval, of three seeds or more."""
    found = []
    for row in rows:
        gains = [interval(v) for name, v in row.values.items() if name.startswith("gain in ") and len(v) >= 3]
        if any(half is not None and mean - half > 0 for mean, half in gains):
            found.append(row)
    return found


def planes(rows: Sequence[Row], baseline: str | None) -> list[Figure]:
    """Quality against diversity: the tempered baseline, if there is one, as a curve, all other systems as named points.

    Where systems lie both near the baseline and far from it, its neighbourhood is drawn once more by itself.
    """
    found = []
    for x, y, better in reversed(PLANES):  # divergences, where there are any, first
        drawn = [row for row in rows if {x, y} <= row.values.keys()]
        real = [_point(row, x, y) for row in drawn if row.system == "real"]
        curve = sorted((row for row in drawn if row.system == baseline), key=lambda row: row.temperature or 1.0)
        others = [row for row in drawn if row.system != baseline and row.temperature == 1.0]
        if not others:
            continue
        found.append(Figure(f"{y} against {x}", better, _plane(x, y, curve, others, real)))
        close = _neighbours([*curve, *others], curve, x, y)
        if 0 < sum(row in close for row in others) < len(others):
            near_curve, near_others = ([row for row in some if row in close] for some in (curve, others))
            drawing = _plane(x, y, near_curve, near_others, [])
            found.append(Figure(f"{y} against {x}, near {baseline}", better, drawing))
    return found


def _plane(x: str, y: str, curve: Sequence[Row], others: Sequence[Row], real: Sequence[tuple[float, float]]) -> Markup:
    lines = []
    if curve:
        points = [_point(row, x, y) for row in curve]
        notes = [f"{row.temperature:g}" for row in curve]
        xs, ys = [point[0] for point in points], [point[1] for point in points]
        lines.append(Line(f"{curve[0].system} by temperature", style(0), xs, ys, notes))
    for i, row in enumerate(others):
        point = _point(row, x, y)
        lines.append(Line(row.label, style(1 + i), point[:1], point[1:], [row.label]))
    return plane(x, y, lines, [], real)


def _neighbours(rows: Sequence[Row], curve: Sequence[Row], x: str, y: str) -> list[Row]:
    """The rows that lie no further from the baseline at temperature 1, in either metric, than it does at 0.8."""
    at = {row.temperature: _point(row, x, y) for row in curve}
    if not {1.0, 0.8} <= at.keys():
        return []
    reach = [abs(a - b) for a, b in zip(at[1.0], at[0.8], strict=True)]
    points = [_point(row, x, y) for row in rows]
    return [
        row
        for row, point in zip(rows, points, strict=True)
        if all(abs(a - b) <= far for a, b, far in zip(point, at[1.0], reach, strict=True))
    ]


def page(rows: Sequence[Row], published: Published, baseline: str | None, title: str, command: str) -> str:
    """One self-contained page: tables that sort when a heading is clicked, and the planes."""
    loader = PackageLoader("textgan", "")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"values": as_text, "minutes": lambda seconds: as_text([s / 60 for s in seconds], 1)}
    environment.filters["mean"] = lambda values: interval(values)[0]
    return environment.get_template("leaderboard.html.jinja").render(
        title=title,
        command=command,
        corpora=corpora(rows),
        columns=columns,
        planes=lambda some: planes(some, baseline),
        outside={row.label for row in outside(rows)},
        published=published,
        baseline=baseline,
        signatures=sorted({(name, text) for row in rows for name, text in row.signatures.items()}),
    )


def publish(
    folder: Path, earlier: Iterable[Path], published: Published, baseline: str | None, title: str, command: str
) -> None:
    """Make ``results.json``, ``leaderboard.md`` and ``leaderboard.html`` of runs and of `earlier` results files.

    The second is printed too.
    """
    rows = collect(folder, baseline)
    for file in earlier:
        rows = beside(rows, from_json(file.read_text(encoding="utf-8")), baseline)
    table = f"`{command}`\n\n{markdown(rows, published)}"
    write_atomically(folder / "results.json", as_json(rows))
    write_atomically(folder / "leaderboard.md", table)
    write_atomically(folder / "leaderboard.html", page(rows, published, baseline, title, command))
    print(table)


def _point(row: Row, x: str, y: str) -> tuple[float, float]:
    return interval(row.values[x])[0], interval(row.values[y])[0]
