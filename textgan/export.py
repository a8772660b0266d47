"""A run's generator as a transformers model: ``python -m textgan.export RUN FOLDER``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from textgan import command_line


@dataclass(frozen=True)
class ExportCommand:
    """Write a run's generator, a transformers model (hf:PATH), as a folder that transformers opens by itself."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder to write to, new or empty."""
    adapter: bool = False
    """Write the adapters alone, in peft's format, in place of the model with them in it (for runs with --game.lora)."""


def main(args: list[str]) -> None:
    command = command_line.parse(ExportCommand, args, "python -m textgan.export", __doc__)
    from textgan.run import Run
    from textgan.transformers_folder import export  # torch is slow to import, and --help needs none of it

    print(export(Run.open(command.run), command.folder, command.adapter))


if __name__ == "__main__":
    command_line.run(main)
