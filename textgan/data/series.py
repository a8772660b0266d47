"""Time series as data: windows of numbers, cut from tables of them or made by a formula."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from textgan.data.cards import card_arguments, card_names, load_card
from textgan.data.readers import lines
from textgan.errors import UserError, check_at_least, check_fields


@dataclass(frozen=True)
class SeriesSpec:
    """An example is ``(length, channels)`` numbers."""

    length: int
    """T."""
    channels: int
    train_size: int
    """Windows in the training split."""


@dataclass(frozen=True)
class SeriesConfig:
    """How tables become windows. None: what the corpus's card says, else the default named."""

    window: int | None = None
    """Numbers of a window. Default: 24."""
    stride: int | None = None
    """From the beginning of a window to that of the next one. Default: 1."""
    returns: bool | None = None
    """Take the differences of logarithms from row to row: growth rates of prices. Default: False."""
    together: bool | None = None
    """All columns are channels of one series, of the rows that have them all. Default: False, each column is a series
    of its own. A gap ends a series."""
    standardise: bool | None = None
    """Subtract the training mean and divide by the training standard deviation, channel by channel. Default: True."""
    valid: float | None = None
    """Fraction of a series that is the validation split: what comes after the training split. Default: 0.1."""
    test: float | None = None
    """Fraction that is the test split: what comes last. Default: 0.2."""
    limit: int | None = None
    """Keep only so many windows of a split, evenly spaced. Default: all."""

    def __post_init__(self) -> None:
        check_at_least(2, "data", self, "window")
        check_at_least(1, "data", self, "stride", "limit")
        check_fields("data", self, "a fraction between 0 and 1", lambda share: 0 < share < 1, "valid", "test")


@dataclass(frozen=True)
class SeriesSettings(SeriesConfig):
    """A `SeriesConfig` in which everything is decided."""

    window: int = 24
    stride: int = 1
    returns: bool = False
    together: bool = False
    standardise: bool = True
    valid: float = 0.1
    test: float = 0.2


@dataclass(frozen=True)
class SeriesReport:
    """What became of the tables."""

    corpus: str
    title: str
    series: int
    window: int
    channels: int
    train: int
    valid: int
    test: int

    def lines(self) -> list[str]:
        """The report for people."""
        return [
            f"{self.corpus}: {self.title}",
            f"{self.series:,} series, windows of {self.window} numbers in {self.channels} channels",
            f"{self.train:,} to train, {self.valid:,} to validate, {self.test:,} to test; splits follow in time",
        ]

    def as_dict(self) -> dict[str, Any]:
        """The report for machines."""
        return asdict(self)


class SeriesSplit:
    """Windows in memory."""

    def __init__(self, windows: Float[Tensor, "n length channels"]) -> None:
        self._windows = windows

    def __len__(self) -> int:
        return len(self._windows)

    def take(self, indices: Int[Tensor, " n"]) -> Float[Tensor, "n length channels"]:
        return self._windows[indices]

    def windows(self, limit: int | None = None) -> Float[Tensor, "n length channels"]:
        """`limit` windows, evenly spaced; all where there are no more."""
        n = len(self) if limit is None else min(limit, len(self))
        return self._windows[torch.arange(n) * len(self) // n]


@dataclass(frozen=True)
class SeriesCorpus:
    """Windows to train on, to validate with and to test with."""

    name: str
    spec: SeriesSpec
    config: SeriesSettings
    train: SeriesSplit
    valid: SeriesSplit
    test: SeriesSplit
    report: SeriesReport

    @property
    def signature(self) -> str:
        """What the numbers of an example stand for: ``"series.24x1"``."""
        return f"series.{self.spec.length}x{self.spec.channels}"

    def save(self, folder: Path) -> None:
        """A model needs nothing beside its weights."""


def artist_curves(n: int, seed: int, points: int = 15) -> Float[Tensor, "n points 1"]:
    """``y = a x^2 + a - 1`` at `points` places of [-1, 1], a ~ U(1, 2): what a game in two minutes can learn."""
    a = 1 + torch.rand(n, 1, generator=torch.Generator().manual_seed(seed))
    x = torch.linspace(-1, 1, points)
    return (a * x.square() + a - 1)[:, :, None]


def table(path: Path, columns: list[str] | None = None) -> Float64[np.ndarray, "rows columns"]:
    """The columns of numbers in a ``.csv`` with a line of names; what is missing is NaN.

    Lines that begin with # are passed over, and so are rows in which no column has a number.

    Raises:
        UserError: there is no such column, or none has numbers.
    """
    names, *rows = list(csv.reader(line for line in lines(path) if not line.startswith("#"))) or [[]]
    if missing := [name for name in columns or () if name not in names]:
        raise UserError(f"{path} has no column {missing[0]!r}; it has: {', '.join(names)}")
    cells = np.array([[_number(row[i]) if i < len(row) else np.nan for i in range(len(names))] for row in rows])
    there = ~np.isnan(cells.reshape(len(rows), len(names)))
    chosen = [i for i, name in enumerate(names) if (not columns or name in columns) and there[:, i].any()]
    if not chosen:
        raise UserError(f"{path} has no column of numbers")
    return cells[there.any(1)][:, chosen]


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return float("nan")
    return number if math.isfinite(number) else float("nan")


READERS: Mapping[str, Callable[..., np.ndarray]] = {"number_table": table}
"""What ``read: kind`` of a card of series may be, beside curves."""


def open_series(spec: str, config: SeriesConfig) -> SeriesCorpus:
    """The series that `spec` names: a card, or a ``.csv`` with a line of names.

    Raises:
        UserError: for everything that the user can put right.
    """
    said = {f.name: getattr(config, f.name) for f in fields(config) if getattr(config, f.name) is not None}
    name, _, given = spec.partition(":")
    title = spec
    options: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    path = Path(spec).expanduser()
    if name in card_names():
        card = load_card(name)
        title, defaults = card.title, dict(card.defaults)
        options = dict(card.read)
        kind = options.pop("kind")
        if kind == "artist_curves":
            return _curves(name, title, SeriesSettings(**{**defaults, **said}))
        if kind not in READERS:
            raise UserError(f"corpus {name!r} has no series: {title}")
        (path,) = card_arguments(card, given)
    elif not path.exists() and not path.suffix and path.name == spec:
        load_card(spec, {*READERS, "artist_curves"}, "a .csv file")  # says which names there are
    settings = SeriesSettings(**{**defaults, **said})
    numbers = table(path, **options)
    columns = [numbers] if settings.together else np.split(numbers, numbers.shape[1], 1)
    series = [part for column in columns for part in _stretches(column)]
    if settings.returns:
        series = [np.diff(np.log(part), axis=0) for part in series if (part > 0).all()]
        if not series:
            raise UserError(f"corpus {spec!r} has no series of numbers above 0, which data.returns needs")
    return _cut(name if name in card_names() else path.stem, title, series, settings)


def _stretches(numbers: Float64[np.ndarray, "rows channels"]) -> list[np.ndarray]:
    """Rows without a gap between them: a missing number of any channel ends one."""
    gaps = np.isnan(numbers).any(1)
    parts = np.split(numbers, np.flatnonzero(gaps))
    return [whole for part in parts if len(whole := part[~np.isnan(part).any(1)]) > 1]


def _cut(name: str, title: str, series: list[np.ndarray], settings: SeriesSettings) -> SeriesCorpus:
    """Each series in three, one after the other, each part into windows: none reaches into another split."""
    if settings.valid + settings.test >= 1:
        raise UserError(f"data.valid {settings.valid} and data.test {settings.test} leave nothing to train on")
    parts: dict[str, list[np.ndarray]] = {"train": [], "valid": [], "test": []}
    for numbers in series:
        first = int(len(numbers) * (1 - settings.valid - settings.test))
        second = int(len(numbers) * (1 - settings.test))
        for split, part in zip(parts, np.split(numbers, [first, second]), strict=True):
            parts[split].append(part)
    learned = np.concatenate(parts["train"])
    mean, std = (learned.mean(0), learned.std(0)) if settings.standardise else (0.0, np.ones(1))
    std = np.where(std > 1e-12, std, 1.0)  # of a channel that never moves
    windows = {split: _windows([(part - mean) / std for part in found], settings) for split, found in parts.items()}
    for split, found in windows.items():
        if not len(found):
            raise UserError(
                f"corpus {name!r}: no window for split {split!r}; smaller windows (data.window {settings.window}) or "
                "larger fractions are needed"
            )
    return _corpus(name, title, windows, settings, len(series))


def _windows(parts: list[np.ndarray], settings: SeriesSettings) -> Tensor:
    cut = [
        np.lib.stride_tricks.sliding_window_view(part, settings.window, axis=0)[:: settings.stride]
        for part in parts
        if len(part) >= settings.window
    ]
    if not cut:
        return torch.zeros(0)
    found = torch.from_numpy(np.concatenate(cut).transpose(0, 2, 1).astype(np.float32).copy())
    n = len(found) if settings.limit is None else min(settings.limit, len(found))
    return found[torch.arange(n) * len(found) // n]


def _curves(name: str, title: str, settings: SeriesSettings) -> SeriesCorpus:
    sizes = {"train": settings.limit or 10_000, "valid": 1000, "test": 1000}
    splits = {split: artist_curves(n, i, settings.window) for i, (split, n) in enumerate(sizes.items())}
    return _corpus(name, title, splits, settings, sizes["train"])


def _corpus(
    name: str, title: str, windows: Mapping[str, Tensor], settings: SeriesSettings, series: int
) -> SeriesCorpus:
    counts = {split: len(found) for split, found in windows.items()}
    _, length, channels = windows["train"].shape
    report = SeriesReport(name, title, series, length, channels, **counts)
    splits = {split: SeriesSplit(found) for split, found in windows.items()}
    return SeriesCorpus(name, SeriesSpec(length, channels, counts["train"]), settings, **splits, report=report)
