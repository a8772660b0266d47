"""How a figure is drawn: curves against the step, and one metric against another.

Every figure is a small inline SVG for one fact, so that a page may lay them out as it likes. Ink is the page's own text
colour (``currentColor``), hence the same figure serves a light page, a dark page and paper; the other colours are
those of Okabe and Ito, which colour-blind readers can tell apart. Nothing here uses pyplot or its global state.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from matplotlib.transforms import blended_transform_factory

from textgan.run_record import Span

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito (2008), without black and yellow, which vanish on dark and on light paper."""
DASHES = ("solid", "dashed", "dashdot", "dotted")
MARKERS = {"o": "●", "s": "■", "^": "▲", "D": "◆"}
"""Markers of matplotlib, and the signs that stand for them in a legend."""
INK = "#010203"
"""Drawn in place of the page's text colour, which no figure knows."""
FAINT = 0.55
DENSE = 150
"""A line of more points than this is drawn as the mean and the range of `BINS` neighbourhoods."""
BINS = 100


class Style(NamedTuple):
    """How a run, or a stage of it, looks in every figure of the page."""

    colour: str
    dash: str
    marker: str

    @property
    def sign(self) -> str:
        """The marker as a character."""
        return MARKERS[self.marker]


class Line(NamedTuple):
    """Points in order, with the name they have in the figure's description."""

    label: str
    style: Style
    x: Sequence[float]
    y: Sequence[float]
    notes: Sequence[str] = ()
    """A short text at each point (a temperature), or none at all."""


def style(colour: int, shape: int = 0) -> Style:
    """The `colour`-th colour with the `shape`-th dash and marker; once all colours are used, the dash changes."""
    laps, hue = divmod(colour, len(COLOURS))
    return Style(COLOURS[hue], DASHES[(shape + laps) % len(DASHES)], list(MARKERS)[shape % len(MARKERS)])


def curves(
    name: str,
    lines: Sequence[Line],
    points: Sequence[Line] = (),
    stages: Sequence[Span] = (),
    real: Sequence[float] = (),
    marks: Sequence[Line] = (),
) -> Markup:
    """`lines` against the step, as inline SVG.

    `points` stand apart, large and unjoined: they are measured otherwise. The `stages` are shaded in turn and named
    (numbered, where the name has no room); `real` are levels of real text; `marks` are steps at which something
    happened, told by the labels and drawn as vertical lines. The scale is logarithmic where all values are positive and
    span more than two decades. Values that are not finite leave a gap and are counted.
    """
    figure, axes = _axes()
    _shade(axes, stages)
    for line in lines:
        _draw_curve(axes, line.style, np.asarray(line.x, float), _finite(line.y))
    for line in points:
        axes.plot(line.x, _finite(line.y), "o", markersize=6.5, markerfacecolor="none", color=line.style.colour)
    for level in real:
        axes.axhline(level, color=INK, linestyle=(0, (6, 3)), linewidth=0.9)
    for mark in marks:
        for step in mark.x:
            axes.axvline(step, color=mark.style.colour, linestyle=":", linewidth=1.2)
    values = np.concatenate([_finite(line.y) for line in (*lines, *points)] + [_finite(real)])
    lost = int(np.isnan(values).sum())
    if lost:
        note = f"{lost} value{'s' if lost > 1 else ''} not finite"
        axes.text(0.99, 0.02, note, transform=axes.transAxes, ha="right", fontsize=8, color=COLOURS[1])
    values = values[~np.isnan(values)]
    if len(values) and values.min() > 0 and values.max() > 100 * values.min():
        axes.set_yscale("log")
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.ticklabel_format(axis="y", useOffset=False)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("step", color=INK, fontsize=9)
    told = [f"{line.label}: {_end(line, 0)} to {_end(line, -1)}" for line in (*lines, *points) if line.x]
    told += [f"real data: {level:.4g}" for level in real]
    told += [f"{mark.label} at {', '.join(f'{step:g}' for step in mark.x)}" for mark in marks]
    return _svg(figure, f"{name} against step. {'; '.join(told)}.")


def plane(
    x_name: str, y_name: str, sweeps: Sequence[Line], paths: Sequence[Line], real: Sequence[tuple[float, float]] = ()
) -> Markup:
    """One metric against another, as inline SVG: what a single number hides.

    `sweeps` are curves over the sampling temperature, with it written at the points; `paths` are the course of
    training, faint, from a cross on; `real` text is a star.
    """
    figure, axes = _axes(width=5.8, height=3.9)
    for path in paths:
        colour = path.style.colour
        axes.plot(path.x, path.y, color=colour, alpha=FAINT, linewidth=0.8, marker=".", markersize=3)
        axes.plot(path.x[:1], path.y[:1], color=colour, alpha=FAINT, marker="x", markersize=6)
    for sweep in sweeps:
        colour, dash, marker = sweep.style
        axes.plot(sweep.x, sweep.y, color=colour, linestyle=dash, linewidth=1.5, marker=marker, markersize=4)
    for x, y in real:
        axes.plot(x, y, color=INK, marker="*", markersize=13, linestyle="none")
    axes.set_xlabel(x_name, color=INK, fontsize=9, parse_math=False)
    axes.set_ylabel(y_name, color=INK, fontsize=9, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.ticklabel_format(useOffset=False)
    axes.margins(0.09)
    figure.draw_without_rendering()
    _annotate(axes, sweeps)
    told = [
        f"{sweep.label}: " + ", ".join(f"({x:.4g}, {y:.4g})" for x, y in zip(sweep.x, sweep.y, strict=True))
        for sweep in sweeps
    ]
    told += [f"{path.label}: {len(path.x)} points of training" for path in paths]
    told += [f"real data: ({x:.4g}, {y:.4g})" for x, y in real]
    return _svg(figure, f"{y_name} against {x_name}. {'; '.join(told)}.")


def bundle(real: np.ndarray, made: np.ndarray) -> bytes:
    """Two bundles of curves ``(n, length, channels)`` side by side on one scale, real and made ones: a PNG file."""
    figure = Figure(figsize=(8, 2.8), layout="constrained", dpi=100)
    low, high = min(real.min(), made.min()), max(real.max(), made.max())
    margin = 0.05 * (high - low) + 1e-6
    for place, (title, windows) in enumerate({"real": real, "generated": made}.items()):
        axes = figure.add_subplot(1, 2, place + 1)
        for channel in range(windows.shape[2]):
            colour = COLOURS[channel % len(COLOURS)]
            axes.plot(windows[:, :, channel].T, color=colour, linewidth=0.8, alpha=0.5)
        axes.set_title(title, fontsize=9)
        axes.set_ylim(low - margin, high + margin)
        axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _axes(width: float = 4.4, height: float = 2.6) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=INK, alpha=FAINT)
    axes.tick_params(color=INK, labelcolor=INK, labelsize=9, length=3)
    axes.grid(color=INK, alpha=0.1, linewidth=0.6)
    return figure, axes


def _shade(axes: Axes, stages: Sequence[Span]) -> None:
    if not stages:
        return
    left, right = stages[0].start, max(stages[-1].end, stages[0].start + 1)
    axes.set_xlim(left - 0.02 * (right - left), right + 0.02 * (right - left))
    above = blended_transform_factory(axes.transData, axes.transAxes)
    for number, stage in enumerate(stages, 1):
        if number % 2:
            axes.axvspan(stage.start, stage.end, color=INK, alpha=0.06, linewidth=0)
        name = f"{number} {stage.name}"
        room = 68 * (stage.end - stage.start) / (right - left)  # characters, all stages together
        text = name if len(name) <= room else str(number)
        axes.text(stage.start, 1.02, text, transform=above, fontsize=7.5, color=INK, alpha=0.8, parse_math=False)


def _draw_curve(axes: Axes, style: Style, x: np.ndarray, y: np.ndarray) -> None:
    if len(x) > DENSE:
        xs, ys = np.array_split(x, BINS), np.array_split(y, BINS)
        low, high = [part.min() for part in ys], [part.max() for part in ys]
        x, y = np.array([part.mean() for part in xs]), np.array([part.mean() for part in ys])
        axes.fill_between(x, low, high, color=style.colour, alpha=0.18, linewidth=0)
    marker = "." if len(x) <= 40 else ""
    axes.plot(x, y, color=style.colour, linestyle=style.dash, linewidth=1.4, marker=marker, markersize=5)


def _annotate(axes: Axes, sweeps: Sequence[Line]) -> None:
    """Writes the notes, ends of a sweep first, each only where it meets none written before it."""
    taken: list[np.ndarray] = []
    for sweep in sweeps:
        order = sorted(range(len(sweep.notes)), key=lambda i: (i not in (0, len(sweep.notes) - 1), i))
        for i in order:
            at = axes.transData.transform((sweep.x[i], sweep.y[i]))
            if all(abs(at - other)[0] > 24 or abs(at - other)[1] > 12 for other in taken):
                taken.append(at)
                axes.annotate(
                    sweep.notes[i],
                    (sweep.x[i], sweep.y[i]),
                    xytext=(5, -9),
                    textcoords="offset points",
                    fontsize=7.5,
                    color=sweep.style.colour,
                )


def _finite(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, float)
    return np.where(np.isfinite(array), array, np.nan)


def _end(line: Line, i: int) -> str:
    return f"{line.y[i]:.4g} at {line.x[i]:g}"


def _svg(figure: Figure, description: str) -> Markup:
    """The figure as an SVG element that takes the page's ink and width, and can be read aloud."""
    buffer = io.StringIO()
    none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    # Text stays text; identifiers follow from the description, so that figures of one page never share any.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": description}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=none)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)
    width, height = (math.ceil(72 * inches) for inches in figure.get_size_inches())
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(description)}">'
    return Markup(re.sub(r"<svg[^>]*>", lambda _: head, svg, count=1))
