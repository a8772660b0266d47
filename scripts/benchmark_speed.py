"""Measures the speed of what training is made of: one table of seconds, rates, memory, baselines and floors.

    python scripts/benchmark_speed.py                                   # every row on the CPU
    python scripts/benchmark_speed.py --device cuda --only generator-update sampling
    python scripts/benchmark_speed.py --growth                          # how time and memory grow with B, T, N, V, ...

Each row is measured in a process of its own, so that its peak of memory is its own, on data drawn at random. What there
is a plain way of doing is also done in that way, in the same process, and the ratio is given. ``results.json`` in --out
holds every figure and the machine's description, ``speed.md`` the table; a row that is there is not measured again
unless --again. What the columns mean is in docs/speed.md.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from speed_rows import FOR_GPUS, GROWTH, ROWS, Options, Sizes

from textgan import command_line
from textgan.checkpoint import write_atomically
from textgan.command_line import flags_of
from textgan.errors import UserError
from textgan.floors import Cost, counted, measured_speeds
from textgan.stopwatch import machine, peak_memory, seconds_of

# ---------------------------------------------------------------------------------------------------- measurement


def measure(name: str, options: Options) -> dict[str, Any]:
    """The record of a row, measured in this process."""
    device = torch.device(options.device)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    before = peak_memory(torch.device("cpu"))
    work = ROWS[name](options)
    for step, _ in work.steps:
        step()  # kernels are loaded and chosen at first use
    seconds = seconds_of(work.run, device)
    peak = peak_memory(device)
    cost = sum((counted(step)[0].times(times) for step, times in work.steps), Cost()).times(1 / work.rounds)
    baselines: dict[str, list[float]] = {way: [] for way in work.baselines} if options.baselines else {}
    for repetition in range(options.repeats):  # in turns, as what else the machine does slows all of them
        if repetition:
            seconds += seconds_of(work.run, device)
        for way, values in baselines.items():
            values.append(work.baselines[way]())
    speeds = measured_speeds(device, [torch.float32] + [torch.bfloat16] * (options.precision == "bf16"))
    return {
        **identity(name, options),
        "about": (ROWS[name].__doc__ or "").strip(),
        "seconds": [number / work.rounds for number in seconds],
        "amount": work.amount / work.rounds,
        "unit": work.unit,
        "peak_bytes": peak,
        "process_bytes_before": before,
        "cost": asdict(cost),
        "speeds": asdict(speeds),
        "floor": speeds.floor(cost),
        "baselines": baselines,
    }


def identity(name: str, options: Options) -> dict[str, Any]:
    """What tells a record from all others."""
    return {
        "row": name,
        "device": torch.device(options.device).type,
        "threads": options.threads or torch.get_num_threads(),
        "precision": options.precision,
        "sizes": asdict(options.sizes),
    }


def is_of(record: Mapping[str, Any], name: str, options: Options) -> bool:
    """Whether a record is of this row with these options."""
    return all(record[key] == value for key, value in identity(name, options).items())


def measure_apart(name: str, options: Options) -> dict[str, Any]:
    """The record of a row, measured in a process of its own.

    Raises:
        subprocess.CalledProcessError: it has failed.
    """
    asked = {key: value for key, value in asdict(options).items() if value is not None and key not in ("only", "out")}
    flags = flags_of({**asked, "here": True, "growth": False}, Options())
    command = [sys.executable, __file__, "--only", name, *flags]
    threads = {} if options.threads is None else {"OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env={**os.environ, **threads})
    return json.loads(done.stdout.splitlines()[-1])


def wanted(options: Options) -> list[tuple[str, Options]]:
    """What is to be measured, and with which options."""
    if not options.growth:
        names = options.only or [name for name in ROWS if name not in FOR_GPUS or options.device != "cpu"]
        return [(name, options) for name in names]
    found = []
    for name, size in GROWTH:
        if options.only and name not in options.only:
            continue
        found.append((name, replace(options, growth=False)))
        for doubling in range(1, options.doublings + 1):
            grown = replace(options.sizes, **{size: getattr(options.sizes, size) * 2**doubling})
            found.append((name, replace(options, growth=False, baselines=False, sizes=grown)))
    return found


# --------------------------------------------------------------------------------------------------------- tables


def markdown(described: Mapping[str, Any], records: Sequence[Mapping[str, Any]], usual: Sizes) -> str:
    """Tables of the rows with the usual sizes, one for each device, and of how rows grow."""
    lines = ["# Speed", "", f"{'; '.join(f'{key} {value}' for key, value in described.items())}."]
    ways = dict.fromkeys((r["device"], r["threads"], r["precision"]) for r in records)
    for device, threads, precision in ways:
        some = [r for r in records if (r["device"], r["threads"], r["precision"]) == (device, threads, precision)]
        lines += ["", f"## {device}, {threads} threads, {precision}", ""]
        lines += _rows([record for record in some if record["sizes"] == asdict(usual)])
        for name, size in dict.fromkeys(GROWTH):
            lines += _growth(name, size, some, usual)
    return "\n".join(lines) + "\n"


def _rows(records: Iterable[Mapping[str, Any]]) -> list[str]:
    lines = [
        "| | seconds | fastest to slowest | a second | peak MB | floor, seconds | of the floor | times faster than |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for record in sorted(records, key=lambda record: list(ROWS).index(record["row"])):
        seconds = statistics.median(record["seconds"])
        spread = f"{_number(min(record['seconds']))} to {_number(max(record['seconds']))}"
        rate = f"{record['amount'] / seconds:,.0f} {record['unit']}"
        ratios = [
            f"{statistics.median(values) / seconds:.1f}: {way} ({_number(statistics.median(values))} s)"
            for way, values in record["baselines"].items()
        ]
        lines.append(
            f"| `{record['row']}` | {_number(seconds)} | {spread} | {rate} | {record['peak_bytes'] / 1e6:,.0f} | "
            f"{_number(record['floor'])} | {record['floor'] / seconds:.1%} | {'; '.join(ratios)} |"
        )
    return lines


def _growth(name: str, size: str, records: Iterable[Mapping[str, Any]], usual: Sizes) -> list[str]:
    """The table of a row whose size grows, all others being the usual ones. Nothing, if it was not measured."""
    others = {key: value for key, value in asdict(usual).items() if key != size}
    some = [r for r in records if r["row"] == name and others.items() <= r["sizes"].items()]
    if len(some) < 2:
        return []
    some = sorted(some, key=lambda record: record["sizes"][size])
    first, before = statistics.median(some[0]["seconds"]), None
    lines = ["", f"`{name}`, growing {size}:", ""]
    lines += [f"| {size} | seconds | times the first | exponent | peak MB |", "| ---: | ---: | ---: | ---: | ---: |"]
    for record in some:
        seconds, value = statistics.median(record["seconds"]), record["sizes"][size]
        exponent = "" if before is None else f"{math.log(seconds / before[0], value / before[1]):.2f}"
        peak = record["peak_bytes"] / 1e6
        lines.append(f"| {value:,} | {_number(seconds)} | {seconds / first:.2f} | {exponent} | {peak:,.0f} |")
        before = seconds, value
    return lines


def _number(seconds: float) -> str:
    """Three digits that count."""
    return f"{seconds:.3g}" if seconds < 100 else f"{seconds:,.0f}"


# -------------------------------------------------------------------------------------------------------- command


def main(args: list[str]) -> None:
    options = command_line.parse(Options, args, "python scripts/benchmark_speed.py", __doc__)
    if unknown := set(options.only) - ROWS.keys():
        raise UserError(f"--only has {', '.join(sorted(unknown))}; there are: {', '.join(ROWS)}")
    if options.here:
        (name,) = options.only
        print(json.dumps(measure(name, options)))
        return
    described, records = read(options.out, options)
    failed = []
    for name, asked in wanted(options):
        there = [record for record in records if is_of(record, name, asked)]
        if there and not options.again:
            continue
        print(f"{name} {changed(asked.sizes)}", file=sys.stderr, flush=True)
        try:
            record = measure_apart(name, asked)
        except subprocess.CalledProcessError as error:
            failed.append(f"{name} (exit status {error.returncode})")
            continue
        records = [record for record in records if record not in there] + [record]
        options.out.mkdir(parents=True, exist_ok=True)
        results = {"machine": described, "rows": records}
        write_atomically(options.out / "results.json", json.dumps(results, indent=1) + "\n")
    table = markdown(described, records, options.sizes)
    if records:
        write_atomically(options.out / "speed.md", table)
    print(table)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def read(folder: Path, options: Options) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The machine's description, and the records that are there already.

    Raises:
        UserError: they are of another machine.
    """
    described = machine(torch.device(options.device))
    file = folder / "results.json"
    if not file.exists():
        return described, []
    results = json.loads(file.read_text(encoding="utf-8"))
    there = results["machine"]
    different = [key for key in there.keys() & described.keys() if there[key] != described[key]]
    if different:
        key = min(different)
        raise UserError(
            f"--out {folder} has measurements of another machine ({key} {there[key]}, here {described[key]}); it must "
            "be a folder of its own"
        )
    return {**there, **described}, results["rows"]


def changed(sizes: Sizes) -> str:
    """The sizes that are not the defaults."""
    usual = asdict(Sizes())
    return " ".join(f"{key}={value}" for key, value in asdict(sizes).items() if value != usual[key])


if __name__ == "__main__":
    command_line.run(main)
