"""``textgan.train``: the command line's work, called from Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textgan import registry
from textgan.config import train_command
from textgan.errors import UserError
from textgan.experiment import play, prepare, run_folder
from textgan.processes import join


def export(run: str | Path, folder: str | Path, adapter: bool) -> Path:
    """See `textgan.export`."""
    from textgan.run import Run
    from textgan.transformers_folder import export  # transformers takes seconds to import

    return export(Run.open(Path(run)), Path(folder), adapter)


def train(name: str, options: Mapping[str, Any]) -> Path:
    """See `textgan.train`."""
    entry = registry.find(name)
    command = train_command(entry, options, f"textgan.train({name!r})")
    trainer = command.trainer
    processes = join(trainer.device, trainer.devices, trainer.nodes)
    parts = prepare(entry, command.settings, processes)
    run = run_folder(entry, command, parts)
    try:
        play(entry, parts, run, command.resume)
    except UserError:
        if processes.is_first and not command.resume:
            run.discard()
        raise
    processes.end()
    return run.folder
