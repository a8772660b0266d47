"""The oracle benchmark of SeqGAN: what policy gradient adds to maximum likelihood, beside the controls it must beat.

For each seed an LSTM is trained by likelihood; from its weights start SeqGAN and the same game with a constant
reward. All are held against the oracle's exact density, and against the likelihood model at other temperatures:

    python scripts/benchmark_oracle.py --oracle oracle.safetensors --out results/oracle        the paper's schedule
    python scripts/benchmark_oracle.py --oracle oracle.safetensors --out results/oracle --short  two CPU cores

Runs that have ended are not made again and runs that were killed go on, so the command may be repeated. The table
(``table.md``), every number (``results.json``) and the picture (``plot.svg``) are made of all runs in the folder.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

import textgan
from textgan import command_line
from textgan.checkpoint import write_atomically
from textgan.data.oracle import Oracle
from textgan.run import Run

COLUMNS = ("nll-oracle", "nll-test", "kl-oracle-model", "kl-model-oracle", "self-bleu-2", "distinct-2")
PAPER = {"random": 10.310, "mle at temperature 1": 9.038, "seqgan": 8.736, "the oracle itself": 5.75}
"""NLL_oracle at length 20 as published (Yu et al., 2017)."""

SHORT = {"pool_size": 2000, "discriminator_rounds": 10, "discriminator_refills": 1, "discriminator_epochs": 1}
"""What ``--short`` changes in the paper's schedule: the discriminator's part of it, which takes most of the time."""


@dataclass(frozen=True)
class Command:
    """SeqGAN on the synthetic oracle, with its controls."""

    oracle: Path | None = None
    """Parameters of the oracle (safetensors). None: the oracle seeded with 0."""
    out: Path = Path("results/oracle")
    """Folder of the runs and of what is made of them."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One repetition each."""
    length: int = 20
    """Words a sentence."""
    mle_epochs: int = 120
    """Passes over the 10,000 sentences by likelihood."""
    rounds: int = 200
    """Adversarial rounds, one generator step each."""
    short: bool = False
    """Train the discriminator less: 1 refill of 2,000 fakes and 1 pass a round in place of 5 x 10,000 and 3 passes."""
    systems: tuple[str, ...] = ("mle", "constant", "seqgan")
    """Which to train: mle comes first, the others start from it."""
    baseline: str = "none"
    """SeqGAN's baseline: none (the paper) or batch."""
    table_only: bool = False
    """Train nothing; make the table of the runs that are there."""


def main(args: list[str]) -> None:
    command = command_line.parse(Command, args, "python scripts/benchmark_oracle.py", __doc__)
    if not command.table_only:
        for seed in command.seeds:
            for system in command.systems:
                run_once(command, system, seed)
    summarise(command)


def run_once(command: Command, system: str, seed: int) -> None:
    """Train one system from one seed, unless that was done; go on where it was left."""
    folder = command.out / "runs" / f"{system}-{seed}"
    if (folder / "model.safetensors").exists():
        return
    options: dict[str, Any] = {
        "run": str(folder),
        "seed": seed,
        "corpus": "oracle" if command.oracle is None else f"oracle:{command.oracle}",
        "data": {"max_length": command.length},
        "evaluation": {
            "samples": 1000,
            "final_samples": 5000,
            "references": 5000,
            "temperatures": [0.4, 0.6, 0.8, 1.0],
        },
        "resume": (folder / "checkpoints").is_dir(),
    }
    if system == "mle":
        textgan.train("mle", preset="mle-oracle", game={"epochs": command.mle_epochs}, **options)
        return
    options["init"] = str(command.out / "runs" / f"mle-{seed}")
    game: dict[str, Any] = {"mle_epochs": 0, "rounds": command.rounds, **(SHORT if command.short else {})}
    if system == "constant":  # the discriminator has no say: it need not be trained
        game |= {"reward": "constant", "discriminator_rounds": 1, "pool_size": 64, "discriminator_refills": 0}
    else:
        game |= {"baseline": command.baseline}
    textgan.train("seqgan", preset="seqgan-oracle", game=game, **options)


def summarise(command: Command) -> None:
    """``results.json``, ``table.md`` and ``plot.svg`` of all runs in the folder."""
    rows = collect(command.out / "runs")
    rows |= bounds(command)
    command.out.mkdir(parents=True, exist_ok=True)
    write_atomically(command.out / "results.json", json.dumps(rows, indent=1) + "\n")
    text = table(rows)
    write_atomically(command.out / "table.md", text)
    draw(rows).savefig(command.out / "plot.svg", bbox_inches="tight")
    print(text)


def collect(runs: Path) -> dict[str, dict[str, list[float]]]:
    """Row -> metric -> one value a seed: the end of each finished run, and the likelihood model at each temperature."""
    rows: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for folder in sorted(runs.iterdir()):
        run, (system, _) = Run.open(folder), folder.name.rsplit("-", 1)
        records = run.records()
        ends = [record for record in records if record["kind"] == "test"]
        if not run.model_file.exists():  # it has not ended: its last test scores are those of an earlier stage
            print(f"{folder} has not ended and is left out")
            continue
        last = ends[-1]["stage"]
        found = {system: ends[-1]} if system != "mle" else {}
        found |= {
            f"{system} at temperature {record['temperature']:g}": record
            for record in records
            if record["kind"] == "sweep" and record["stage"] == last
        }
        for name, record in found.items():
            for metric, score in record["scores"].items():
                rows[name][metric].append(score["value"])
            rows[name]["seconds"].append(record["seconds"])
        if system not in ("mle", "constant"):
            course = [record for record in records if record["kind"] == "metrics"]
            best = min(course, key=lambda record: record["scores"]["nll-oracle"]["value"])
            rows[f"{system}, lowest NLL_oracle on the way"]["nll-oracle"].append(best["scores"]["nll-oracle"]["value"])
    return {name: dict(metrics) for name, metrics in rows.items()}


def bounds(command: Command) -> dict[str, dict[str, list[float]]]:
    """Random words and the oracle itself under the oracle."""
    oracle = (
        Oracle.seeded(0, length=command.length)
        if command.oracle is None
        else Oracle.load(command.oracle, command.length)
    )
    words = torch.randint(oracle.spec.vocab_size, (10_000, command.length), generator=torch.Generator().manual_seed(0))
    own = [oracle.nll(oracle.sample(10_000, seed)) for seed in (101, 102, 103)]
    return {"random": {"nll-oracle": [oracle.nll(words)]}, "the oracle itself": {"nll-oracle": own, "nll-test": own}}


def table(rows: dict[str, dict[str, list[float]]]) -> str:
    """Markdown: mean and 95% interval over seeds."""
    lines = [
        f"| | {' | '.join(COLUMNS)} | published NLL_oracle | seeds |",
        f"|---{'|---:' * (len(COLUMNS) + 2)}|",
    ]
    for name in sorted(rows, key=_order):
        metrics = rows[name]
        cells = [interval(metrics.get(column, [])) for column in COLUMNS]
        seeds = max(map(len, metrics.values()))
        lines.append(f"| {name} | {' | '.join(cells)} | {PAPER.get(name, '')} | {seeds} |")
    return "\n".join(lines) + "\n"


def interval(values: list[float]) -> str:
    """``mean +- half-width`` of Student's 95% interval over seeds; the value alone where there is one."""
    if not values:
        return "-"
    mean = float(np.mean(values))
    if len(values) == 1:
        return f"{mean:.3f}"
    t = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}.get(len(values), 2.0)
    return f"{mean:.3f} +- {t * float(np.std(values, ddof=1)) / math.sqrt(len(values)):.3f}"


def draw(rows: dict[str, dict[str, list[float]]]) -> Figure:
    """Both NLLs and both divergences: the tempered likelihood model as a curve, everything else beside it."""
    figure = Figure(figsize=(11, 4.5))
    planes = [("nll-oracle", "nll-test"), ("kl-model-oracle", "kl-oracle-model")]
    for axes, (x, y) in zip(figure.subplots(1, 2), planes, strict=True):
        for system in dict.fromkeys(name.split(" at ")[0] for name in rows if " at " in name):
            curve = {name: row for name, row in rows.items() if name.startswith(f"{system} at ") and x in row}
            points = [(float(np.mean(row[x])), float(np.mean(row[y]))) for row in curve.values()]
            axes.plot(*zip(*points, strict=True), marker="o", label=f"{system} by temperature")
            for name, point in zip(curve, points, strict=True):
                axes.annotate(name.rsplit(" ", 1)[1], point, textcoords="offset points", xytext=(4, 4), fontsize=8)
        axes.set(xlabel=f"{x} (nats per token)", ylabel=f"{y} (nats per token)")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle("Left and down is better")
    return figure


def _order(name: str) -> tuple[int, str]:
    first = ("random", "mle", "constant", "seqgan", "the oracle")
    return next((i for i, start in enumerate(first) if name.startswith(start)), len(first)), name


if __name__ == "__main__":
    command_line.run(main)
