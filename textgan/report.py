"""One page about one or several runs: ``python -m textgan.report RUN [RUN ...]``.

Reads run folders as the trainer writes them and nothing else: no network is built and torch is not imported. The page
is a single HTML file without scripts, with the scores, every loss, every metric, the quality-diversity picture, samples
side by side, settings and signatures.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro
from jinja2 import Environment, PackageLoader, StrictUndefined

from textgan import command_line
from textgan.drawing import style
from textgan.errors import UserError
from textgan.figures import loss_curves, metric_curves, planes, stage_styles
from textgan.film import film
from textgan.run_record import CONTROLS, Record, RunRecord, read_lines, read_run, score_text, scores

PROG = "python -m textgan.report"
_UNFINISHED = ", not finished: validation split"


class Row(NamedTuple):
    """A system, and its scores by metric."""

    label: str
    note: str
    scores: dict[str, float]


class Sample(NamedTuple):
    """Sentences of a run. Where it has none, the step is None."""

    label: str
    step: int | None
    sentences: list[str]
    picture: str = ""
    """A sheet of images, as an address that holds all of it."""


def build_report(folders: Sequence[Path]) -> str:
    """The page about the runs in `folders`: HTML that needs no other file.

    Raises:
        UserError: no folder is given, or one is not a run folder.
    """
    if not folders:
        raise UserError(f"no run folder is given: name at least one, as in {PROG} runs/seqgan")
    names = [folder.resolve().name for folder in folders]
    labels = names if len(set(names)) == len(names) else [str(folder) for folder in folders]
    runs = [read_run(folder, label) for folder, label in zip(folders, labels, strict=True)]
    rows, sweeps = final_rows(runs), sweep_rows(runs)
    drawn = _families([record["scores"] for run in runs for kind in ("metrics", "test") for record in run.of(kind)])
    loader = PackageLoader("textgan", "")
    page = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {"score": score_text, "duration": _duration, "counted": _counted}
    descriptions = [run.data for run in runs if run.data]
    return page.get_template("report.html.jinja").render(
        title=f"{_each(runs, 'name')} on {_each(runs, 'corpus')}",
        runs=runs,
        styles=[style(i) for i in range(len(runs))],
        stages=[(looks, label) for _, _, looks, label in stage_styles(runs)],
        notes=_notes(runs),
        rows=rows,
        sweeps=sweeps,
        families=_families([row.scores for row in (*rows, *sweeps)]),
        planes=planes(runs),
        metrics=metric_curves(runs, [name for names in drawn.values() for name in names]),
        losses=loss_curves(runs),
        samples=_samples(runs),
        sheets=_sheets(runs),
        corpora=[data for i, data in enumerate(descriptions) if data not in descriptions[:i]],
        differences=_differences(runs),
        signatures=sorted({pair for run in runs for record in run.records for pair in _signatures(record)}),
    )


def final_rows(runs: Sequence[RunRecord]) -> list[Row]:
    """The controls, each once where the runs agree on it, then the ends of every run's stages."""
    controls: dict[str, list[Row]] = {}
    for run in runs:
        for record in run.of("control"):
            rows = controls.setdefault(record["name"], [])
            if scores(record) not in [row.scores for row in rows]:
                name: str = record["name"]
                rows.append(Row(CONTROLS.get(name, name), run.label, scores(record)))
    ends = [
        Row(label, f"step {end['step']:,}" + _UNFINISHED * (end["kind"] == "metrics"), scores(end))
        for run, stage, _, label in stage_styles(runs)
        if (end := run.ends.get(stage.name))
    ]
    agreed = [[rows[0]._replace(note="")] if len(rows) == 1 else rows for rows in controls.values()]
    return [row for rows in agreed for row in rows] + ends


def sweep_rows(runs: Sequence[RunRecord]) -> list[Row]:
    """Every stage of every run at each temperature of its sweep."""
    return [
        Row(label, f"temperature {temperature:g}", scores(record))
        for run, stage, _, label in stage_styles(runs)
        for temperature, record in run.sweep(stage.name).items()
    ]


def _each(runs: Sequence[RunRecord], setting: str) -> str:
    return ", ".join(dict.fromkeys(str(run.config.get(setting)) for run in runs))


def _families(measured: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Metrics that differ by a number only, together ("bleu": bleu-2, bleu-3), as the fullest measurement has them."""
    names = [name for scores in sorted(measured, key=len, reverse=True) for name in scores]
    families: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        head, _, tail = name.rpartition("-")
        families.setdefault(head if tail.isdecimal() else name, []).append(name)
    return {family: sorted(members) for family, members in families.items()}


def _notes(runs: Sequence[RunRecord]) -> list[str]:
    """What a reader must know before trusting the numbers."""
    notes = []
    for run in runs:
        if run.unreadable:
            lines = ", ".join(map(str, run.unreadable))
            notes.append(f"{run.label}: metrics.jsonl has lines that are cut off and left out: {lines}.")
        if not run.ends:
            notes.append(f"{run.label}: nothing has been measured yet.")
    if len({str(run.config.get("corpus")) for run in runs}) > 1:
        notes.append("The runs are on different corpora: their scores cannot be compared.")
    settings: dict[str, set[str]] = {}
    for name, text in {pair for run in runs for record in run.of("test") for pair in _signatures(record)}:
        parts = [part for part in text.split("|") if not part.startswith("seed:")]
        settings.setdefault(name, set()).add("|".join(parts))
    unlike = sorted(name for name, texts in settings.items() if len(texts) > 1)
    if unlike:
        notes.append(f"Measured with different settings, so not comparable (see signatures): {', '.join(unlike)}.")
    return notes


def _samples(runs: Sequence[RunRecord]) -> list[tuple[str, list[Sample]]]:
    """The first and the last sample of every stage, runs side by side; a run without one has an empty place."""
    found: dict[str, list[Sample]] = {}
    for stage in dict.fromkeys(run.stage_of(step) for run in runs for step in sorted(run.samples)):
        for place in (0, -1):
            row = []
            for run in runs:
                steps = sorted(step for step in run.samples if run.stage_of(step) == stage)
                step = steps[place] if len(steps) > -place else None
                row.append(Sample(run.label, None, []) if step is None else _sample(run, step))
            if any(sample.step is not None for sample in row):
                found.setdefault(stage, []).extend(row)
    return list(found.items())


def _sample(run: RunRecord, step: int) -> Sample:
    file = run.samples[step]
    if file.suffix == ".png":
        return Sample(run.label, step, [], _address(file.read_bytes()))
    return Sample(run.label, step, read_lines(file))


def _sheets(runs: Sequence[RunRecord]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The sheets of images of every run, by name, and a film of its samples."""
    found: dict[str, list[tuple[str, str]]] = {}
    for run in runs:
        frames = [file for _, file in sorted(run.samples.items()) if file.suffix == ".png"]
        if len(frames) > 1:
            shown = film([file.read_bytes() for file in frames])
            found.setdefault("training", []).append((run.label, _address(shown, "gif")))
        for name, file in run.sheets.items():
            found.setdefault(name, []).append((run.label, _address(file.read_bytes())))
    return list(found.items())


def _address(picture: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _differences(runs: Sequence[RunRecord]) -> list[tuple[str, list[str]]]:
    """Settings that are not the same in all runs."""
    settings = [dict(_flat(run.config)) for run in runs]
    names = dict.fromkeys(name for setting in settings for name in setting)
    values = [(name, [setting.get(name, "(absent)") for setting in settings]) for name in names]
    return [(name, texts) for name, texts in values if len(set(texts)) > 1]


def _flat(config: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(config, dict) and config:
        for key, value in config.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, json.dumps(config, ensure_ascii=False, default=str)


def _signatures(record: Record) -> list[tuple[str, str]]:
    return [(name, score["signature"]) for name, score in record.get("scores", {}).items()]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _counted(things: Sequence[Any], noun: str) -> str:
    """How many there are, in words; nothing where there is none."""
    return f"{len(things)} {noun}{'s' * (len(things) > 1)}" if things else ""


@dataclass(frozen=True)
class Arguments:
    """Writes one self-contained HTML page about one or several runs, and prints its path."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN [RUN ...]")]
    """Run folders, as textgan.train writes them."""
    out: Path | None = None
    """The page. None: report.html in the first run folder."""


def main(args: list[str]) -> None:
    given = command_line.parse(Arguments, args, prog=PROG)
    page = build_report(given.runs)
    out = given.out or given.runs[0] / "report.html"
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out {out} cannot be written: {error}") from error
    print(out)


if __name__ == "__main__":
    command_line.run(main)
