"""Prints where the time of a round goes, whatever the game:

    python scripts/profile_step.py seqgan --preset seqgan-oracle
    python scripts/profile_step.py stylegan --trainer.device cuda --trace round.json

Options are those of ``python -m textgan.train``, --steps N (how often each step is made for a median, default 3) and
--trace FILE (a Chrome trace of a round of the last stage). What the columns mean is in docs/speed.md. Nothing is
trained for longer than that, and nothing is written but the trace.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from textgan import command_line, registry
from textgan.command_line import check_writable, parse_own
from textgan.config import parse_train_command
from textgan.data.batches import Batches
from textgan.data.cache import temporary_cache
from textgan.errors import UserError, check_at_least
from textgan.experiment import prepare
from textgan.floors import Cost, Speeds, measured_speeds
from textgan.profiling import Profiler, StepProfile

PROG = "python scripts/profile_step.py"
SPLIT = {"batch": 8, "loss": 9, "backward": 9, "optimizer": 8, "rest": 8}
"""Widths of the columns of a step's parts."""
HEADING = (
    f"{'move':34s}{'a round':>9s}{'of round':>9s}{'ms':>10s}{'batch':>8s}{'loss':>9s}{'backward':>9s}{'optim.':>8s}"
    f"{'rest':>8s}{'a second':>18s}{'peak MB':>9s}{'GFLOP':>9s}{'moved MB':>9s}{'floor ms':>10s}{'of floor':>9s}"
)


@dataclass(frozen=True)
class Options:
    """What this script does beside what it is told of the run."""

    steps: int = 3
    """Times that each step is made for a median."""
    trace: Path | None = None
    """File for a Chrome trace of a round of the last stage."""

    def __post_init__(self) -> None:
        check_at_least(1, "profile", self, "steps")


def main(args: list[str]) -> None:
    if not args or args[0].startswith("-"):
        if not {"-h", "--help"} & set(args):
            raise UserError(f"the first argument must be the name of a game: {PROG} NAME [options]")
        print(__doc__)
        return
    name, *flags = args
    entry = registry.find(name)
    options, flags = parse_own(Options, flags, PROG)
    check_writable("--trace", options.trace)
    settings = parse_train_command(entry, flags, f"{PROG} {name}").settings
    with temporary_cache():
        parts = prepare(entry, settings)
        trained = parts.settings.trainer
        profiler = Profiler(parts.game, Batches(parts.corpus.train, settings.seed), trained)
        device = profiler.trainer.device
        print(
            f"{name} on {parts.corpus.name}, batches of {parts.game.batch_size}; {device}, {torch.get_num_threads()} "
            f"threads, {trained.precision}, torch {torch.__version__}"
        )
        profiles = []
        for profile in profiler.profile(options.steps):
            profiles.append(profile)
            print(f"  {profile.stage}: {profile.move}: {1e3 * profile.seconds:,.1f} ms", file=sys.stderr, flush=True)
        if options.trace is not None:
            stage = profiler.trace(options.trace)
            print(f"a round of {stage} is in {options.trace}")
    precise = [torch.float32] + [torch.bfloat16] * (trained.precision == "bf16")
    for line in table(profiles, measured_speeds(device, precise)):
        print(line)


def table(profiles: Iterable[StepProfile], speeds: Speeds) -> Iterator[str]:
    """Lines for people: a part for each stage, a line for each of its moves, under it one for each part of its loss."""
    yield f"large matrix product {speeds.flops / 1e9:,.1f} GFLOP/s, copy {speeds.moved / 1e9:,.1f} GB/s"
    stages: dict[str, list[StepProfile]] = {}
    for profile in profiles:
        stages.setdefault(profile.stage, []).append(profile)
    for stage, moves in stages.items():
        whole = sum(move.times * move.seconds for move in moves)
        yield ""
        yield f"{stage}: {whole:,.3f} s a round"
        yield HEADING
        for move in moves:
            share = move.times * move.seconds / whole
            parts = _parts(move) if move.parts else " " * sum(SPLIT.values())
            rate = f"{move.amount / move.seconds:,.0f} {move.unit}" if move.amount else ""
            yield (
                f"{move.move:34s}{_number(move.times):>9s}{share:>9.1%}{1e3 * move.seconds:>10.2f}{parts}{rate:>18s}"
                f"{move.peak / 1e6:>9,.0f}{_floor(move.cost, move.seconds, speeds)}"
            )
            for inner in move.inner:
                share = move.times * inner.seconds / whole
                yield (
                    f"{'  ' + inner.name:34s}{'':9s}{share:>9.1%}{1e3 * inner.seconds:>10.2f}{'':69s}"
                    f"{_floor(inner.cost, inner.seconds, speeds)}"
                )


def _parts(move: StepProfile) -> str:
    return "".join(f"{1e3 * move.parts[name]:>{width}.2f}" for name, width in SPLIT.items())


def _floor(cost: Cost, seconds: float, speeds: Speeds) -> str:
    floor = speeds.floor(cost)
    return f"{cost.flops / 1e9:>9.2f}{cost.moved / 1e6:>9,.1f}{1e3 * floor:>10.3f}{floor / seconds:>9.1%}"


def _number(times: float) -> str:
    """Steps a round; ``1/n`` for one in n rounds."""
    rounds = 1 / times
    return f"1/{rounds:.0f}" if rounds > 1 and abs(rounds - round(rounds)) < 1e-6 else f"{times:.3g}"


if __name__ == "__main__":
    command_line.run(main)
