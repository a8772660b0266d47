"""Train a GAN, from raw text to report: ``python -m textgan.train NAME``."""

from __future__ import annotations

import shlex
import sys

from textgan import command_line, registry
from textgan.collapse import Collapsed
from textgan.config import parse_train_command
from textgan.data.cache import temporary_cache
from textgan.errors import UserError
from textgan.experiment import play, prepare, run_folder
from textgan.plan import plan_lines
from textgan.signals import Interrupted
from textgan.trainer import NonFiniteLoss

PROG = "python -m textgan.train"
USAGE = f"""Train a GAN, from raw text to report.

usage: {PROG} NAME [options]      train (see {PROG} NAME --help for every option)
       {PROG} --list              every game, one a line, with its paper

for example:
       {PROG} seqgan
       {PROG} seqgan --corpus my_sentences.txt --run runs/mine --seed 1
       {PROG} seqgan --run runs/mine --resume"""


def main(args: list[str]) -> None:
    if "--list" in args:
        for name in registry.names():
            print(f"{name:20s} {registry.find(name).summary}")
        return
    if not args or args[0] in ("-h", "--help"):
        print(USAGE)
        return
    name, *flags = args
    if name.startswith("-"):
        raise UserError(f"the first argument is {name!r}; it must be the name of a game (see {PROG} --list)")
    entry = registry.find(name)
    command = parse_train_command(entry, flags, f"{PROG} {name}")
    if command.dry_run:
        with temporary_cache():
            for line in plan_lines(prepare(entry, command.settings)):
                print(line, flush=True)
        return
    parts = prepare(entry, command.settings)
    run = run_folder(entry, command, parts)
    _say(f"{entry.name} on {parts.corpus.name}, in {run.folder}")
    for line in parts.corpus.report.lines():
        _say(f"  {line}")
    try:
        play(entry, parts, run, command.resume)
    except Interrupted as stop:
        _say(f"{stop}; go on with: {PROG} {name} --run {shlex.quote(str(run.folder))} --resume")
        sys.exit(stop.status)
    except UserError:
        if not command.resume:
            run.discard()
        raise
    except Collapsed as stop:
        _say(f"textgan: stopped: {stop}; report: {run.report_file}")
        sys.exit(stop.status)
    except NonFiniteLoss as error:
        _say(f"textgan: error: {error}; the last checkpoint is good: {run.checkpoints_folder}")
        sys.exit(1)
    _say(f"done: {run.report_file}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    command_line.run(main)
