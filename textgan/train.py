"""Train a GAN, from raw text to report: ``python -m textgan.train NAME``."""

from __future__ import annotations

import shlex
import sys

from textgan import command_line, registry
from textgan.collapse import Collapsed
from textgan.config import TrainCommand, parse_train_command
from textgan.data.cache import temporary_cache
from textgan.errors import UserError
from textgan.experiment import play, prepare, run_folder
from textgan.plan import plan_lines
from textgan.processes import Processes, is_loss_of_peer, join
from textgan.registry import Entry
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
    trainer = command.trainer
    processes = join(trainer.device, trainer.devices, trainer.nodes)
    try:
        status = _train(entry, command, processes)
    except UserError:
        if processes.is_first:
            raise
        status = command_line.USER_ERROR
    except RuntimeError as error:
        if processes.size == 1 or not is_loss_of_peer(error):
            raise
        who = f"process {processes.rank + 1} of {processes.size}"
        _say(f"textgan: error: {who} has lost another; --resume goes on from the last checkpoint")
        sys.exit(1)
    processes.end()
    if status:
        sys.exit(status)


def _train(entry: Entry, command: TrainCommand, processes: Processes) -> int:
    """The exit status of the run, which has said how it ended."""
    say = _say if processes.is_first else _nothing
    parts = prepare(entry, command.settings, processes)
    run = run_folder(entry, command, parts)
    say(f"{entry.name} on {parts.corpus.name}, in {run.folder}")
    for line in parts.corpus.report.lines():
        say(f"  {line}")
    try:
        play(entry, parts, run, command.resume)
    except Interrupted as stop:
        say(f"{stop}; go on with: {PROG} {entry.name} --run {shlex.quote(str(run.folder))} --resume")
        return stop.status
    except UserError:
        if processes.is_first and not command.resume:
            run.discard()
        raise
    except Collapsed as stop:
        say(f"textgan: stopped: {stop}; report: {run.report_file}")
        return stop.status
    except NonFiniteLoss as error:
        say(f"textgan: error: {error}; the last checkpoint is good: {run.checkpoints_folder}")
        return 1
    say(f"done: {run.report_file}")
    return 0


def _nothing(line: str) -> None: ...


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    command_line.run(main)
