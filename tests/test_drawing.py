"""Figures are read back from their SVG: what is in them is what was given."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest
from PIL import Image

from textgan.drawing import BINS, COLOURS, DENSE, INK, Line, bundle, curves, plane, style
from textgan.run_record import Span


def _texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def _path_of(svg: str, colour: str) -> list[tuple[float, float]]:
    """Points of the first stroked line of a colour."""
    paths = re.findall(r'<path d="([^"]*)"[^>]*style="([^"]*)"', svg)
    path = next(data for data, style in paths if f"stroke: {colour}" in style)
    return [(float(x), float(y)) for x, y in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", path)]


def _line(y: list[float], label: str = "run", notes: tuple[str, ...] = ()) -> Line:
    return Line(label, style(0), list(range(len(y))), y, notes)


def test_a_curve_has_the_shape_of_its_values() -> None:
    points = _path_of(curves("loss", [_line([0.0, 1.0, 3.0])]), COLOURS[0].lower())
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x2 - x0 == pytest.approx(2 * (x1 - x0), rel=1e-3)
    assert y0 - y2 == pytest.approx(3 * (y0 - y1), rel=1e-3)  # downwards in an SVG


def test_values_over_two_decades_are_drawn_in_logarithms() -> None:
    (_, y0), (_, y1), (_, y2) = _path_of(curves("loss", [_line([0.001, 0.1, 10.0])]), COLOURS[0].lower())
    assert y0 - y2 == pytest.approx(2 * (y0 - y1), rel=1e-3)


def test_a_dense_line_is_its_means() -> None:
    zigzag = [float(i % 2) for i in range(BINS * DENSE)]
    points = _path_of(curves("loss", [_line(zigzag)]), COLOURS[0].lower())
    heights = {y for _, y in points}
    assert max(heights) - min(heights) < 1e-3


def test_stages_are_named_where_there_is_room_and_numbered_where_not() -> None:
    stages = [Span("pretrain", 0, 500), Span("discriminator", 500, 510), Span("adversarial", 510, 1000)]
    texts = _texts(curves("loss", [_line([1.0, 2.0])], stages=stages))
    assert {"1 pretrain", "2", "3 adversarial"} <= set(texts)


def test_marks_are_upright_lines_through_their_steps() -> None:
    mark = Line("run: collapse", style(1), [1.0], [])
    svg = curves("loss", [_line([0.0, 1.0, 3.0])], marks=[mark])
    (x0, bottom), (x1, top) = _path_of(svg, COLOURS[1].lower())
    points = _path_of(svg, COLOURS[0].lower())
    assert x0 == x1 == pytest.approx(points[1][0], abs=1e-3)
    assert bottom > points[0][1]
    assert top < points[2][1]
    assert "run: collapse at 1." in svg


def test_temperatures_are_written_unless_they_would_meet() -> None:
    far = Line("run", style(0), [0.0, 0.5, 1.0], [0.0, 0.5, 1.0], ["0.5", "1", "1.5"])
    near = Line("run", style(1), [0.001, 0.5, 1.0], [0.0, 0.9, 1.0], ["T0", "T1", "T2"])
    texts = _texts(plane("bleu-2", "self-bleu-2", [far, near], []))
    assert {"0.5", "1", "1.5", "T1"} <= set(texts)
    assert not {"T0", "T2"} & set(texts)


def test_no_path_and_no_value_still_make_a_figure() -> None:
    assert "against step" in curves("loss", [Line("run", style(0), [], [])])
    assert "bleu-2" in plane("bleu-2", "self-bleu-2", [], [Line("run", style(0), [], [])])


def test_the_ink_is_the_pages_and_dollars_are_no_formulas() -> None:
    svg = plane("$x_1$", "</svg><script>", [_line([0.1, 0.2])], [], [(0.1, 0.2)])
    assert INK not in svg
    assert "currentColor" in svg
    assert "<script>" not in svg
    ElementTree.fromstring(svg.replace("xlink:href", "href"))  # well formed
    assert "$x_1$" in _texts(svg)


def test_styles_differ_between_runs_and_between_stages() -> None:
    looks = [style(run, stage) for run in range(8) for stage in range(3)]
    assert len(set(looks)) == len(looks)


def test_drawing_leaves_the_settings_of_matplotlib_alone() -> None:
    before = dict(matplotlib.rcParams)
    curves("loss", [_line([1.0, 2.0])])
    assert dict(matplotlib.rcParams) == before


def _heights(picture: bytes, colour: str) -> list[float]:
    """How high ink of about a colour lies in the left and in the right half of a picture, in the mean: 0 at the top."""
    ink = 255 - np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), float)
    wanted = 255 - np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    size = np.linalg.norm(ink, axis=2)  # lines are half transparent: a lighter colour of the same hue
    near = (size > 40) & (ink @ wanted > 0.97 * size * np.linalg.norm(wanted))
    return [float(half.nonzero()[0].mean() / len(ink)) for half in np.split(near, 2, axis=1)]


def test_a_bundle_has_real_curves_on_the_left_and_made_ones_on_the_right_on_one_scale() -> None:
    low, high = np.zeros((1, 5, 1)), np.ones((1, 5, 1))
    left, right = _heights(bundle(low, high), COLOURS[0])
    assert left > right + 0.5
    left, right = _heights(bundle(high, low), COLOURS[0])
    assert right > left + 0.5


def test_channels_of_a_bundle_have_colours_of_their_own() -> None:
    both = np.stack([np.zeros((2, 5)), np.ones((2, 5))], 2)
    picture = bundle(both, both)
    first, second = _heights(picture, COLOURS[0]), _heights(picture, COLOURS[1])
    assert min(first) > max(second) + 0.5
    assert picture == bundle(both, both)
