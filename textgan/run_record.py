"""A run folder, read: what the report, and anything else that looks back on a run, knows of it.

``metrics.jsonl`` holds one record a line, each with its kind, step and stage: losses, measurements in training
("metrics", on the validation split), at a stage's end those on the test split ("test", and "sweep" over sampling
temperatures), controls, warnings and events. This module reads without torch and judges nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from textgan.errors import UserError

Record = dict[str, Any]

CONTROLS = {"real": "real, held out", "random": "at random"}
"""How the controls of a run are called where they are shown; others by their own names."""


class Span(NamedTuple):
    """A stage of a run: its first and last step."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class RunRecord:
    """What a run folder says."""

    label: str
    """A name that tells it from other runs."""
    config_text: str
    config: Record
    data: Record
    records: list[Record]
    """Lines of ``metrics.jsonl``."""
    unreadable: list[int]
    """Numbers of its lines that are no record: the last one, where the run was killed."""
    samples: dict[int, Path]
    """Files of sentences, or sheets of images, by step."""
    sheets: dict[str, Path]
    """Further sheets of images, by name."""

    def of(self, kind: str) -> list[Record]:
        """The records of a kind, in the order written."""
        return [record for record in self.records if record["kind"] == kind]

    @cached_property
    def stages(self) -> list[Span]:
        """Stages in order of play, each from the end of the one before."""
        ends: dict[str, int] = {}
        for record in self.records:
            if record["kind"] in ("loss", "metrics", "test", "sweep"):
                ends[record["stage"]] = max(record["step"], ends.get(record["stage"], 0))
        return [Span(name, start, ends[name]) for name, start in zip(ends, [0, *ends.values()], strict=False)]

    @cached_property
    def ends(self) -> dict[str, Record]:
        """The test scores of every stage or, where it was cut short, its latest measurement."""
        return {record["stage"]: record for kind in ("metrics", "test") for record in self.of(kind)}

    @property
    def rollbacks(self) -> list[Record]:
        """The events at which the collapse watch went back to the last good networks, or stopped with them."""
        return [event for event in self.of("event") if "rollbacks" in event]

    def sweep(self, stage: str) -> dict[float, Record]:
        """Measurements at the end of a stage by sampling temperature, the coldest first."""
        found = {r["temperature"]: r for r in self.of("sweep") if r["stage"] == stage}
        return dict(sorted(found.items()))

    def stage_of(self, step: int) -> str:
        """The stage that a step belongs to; of a run without stages, none: ``""``."""
        names = [stage.name for stage in self.stages]
        return next((stage.name for stage in self.stages if step <= stage.end), names[-1] if names else "")


def read_run(folder: Path, label: str | None = None) -> RunRecord:
    """Reads a run folder, named `label` or as the folder is. Lines that are no record are left out, and noted.

    Raises:
        UserError: `folder` is not a run folder, or its ``config.yaml`` or ``data.json`` cannot be read.
    """
    if not (folder / "config.yaml").is_file():
        missing = "it has no config.yaml and metrics.jsonl" if folder.is_dir() else "there is no such folder"
        raise UserError(f"'{folder}' is not a run folder: {missing}; give one that textgan.train has written")
    text = _text(folder / "config.yaml")
    try:
        config, data = yaml.safe_load(text), json.loads(_text(folder / "data.json") or "{}")
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        raise UserError(f"'{folder}' cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(config, dict) or not isinstance(data, dict):
        raise UserError(f"'{folder}' cannot be read: config.yaml and data.json must each hold a mapping")
    parsed = {number: _record(line) for number, line in enumerate(read_lines(folder / "metrics.jsonl"), 1)}
    return RunRecord(
        label=label or folder.resolve().name,
        config_text=text,
        config=config,
        data=data,
        records=[record for record in parsed.values() if record],
        unreadable=[number for number, record in parsed.items() if not record],
        samples={int(p.stem): p for p in folder.glob("samples/*.*") if p.stem.isdecimal()},
        sheets={p.stem: p for p in sorted(folder.glob("sheets/*.png"))},
    )


def read_lines(path: Path) -> list[str]:
    """The lines of a text file; none where there is no such file. Only a line feed ends a line."""
    text = _text(path)
    return text.removesuffix("\n").split("\n") if text else []


def scores(record: Record) -> dict[str, float]:
    """Measured values by metric."""
    return {name: number(score["value"]) for name, score in record["scores"].items()}


def score_text(value: float) -> str:
    """Three decimals, or three significant digits where these would hide the value."""
    return f"{value:.3f}" if value == 0 or 0.01 <= abs(value) < 100 else f"{value:.3g}"


def pairs(records: Sequence[Record], x: str, y: str) -> list[tuple[float, float]]:
    """Values of two metrics in the records that have both."""
    found = [scores(record) for record in records]
    return [(values[x], values[y]) for values in found if x in values and y in values]


def number(value: float | int | None) -> float:
    """A value of a record. JSON has no word for "not a number"; some writers put null."""
    return math.nan if value is None else float(value)


def _record(line: str) -> Record | None:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and {"kind", "step", "stage"} <= record.keys() else None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
