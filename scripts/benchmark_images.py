"""Every game of images, fonts and series, with its defaults or its presets: games x corpora x seeds.

Games that are played on the same thing share a table, with the floors and baselines that are measured in every run
(real held-out images, noise, the mean image, ...):

    python scripts/benchmark_images.py                                  # the embedded corpora, each game's defaults
    python scripts/benchmark_images.py --systems dcgan wgan_gp sn:dcgan+discriminator.spectral=true --seeds 0 1 2
    python scripts/benchmark_images.py --corpora faces mnist_5000       # the presets NAME-faces and NAME-mnist_5000

A system is a game's name, or ``NAME+FIELD=VALUE`` for a switch of it, with ``LABEL:`` before it for a name of its own.
Each run is a process of its own (``--jobs`` at a time) in ``OUT/<table>/<label>-<seed>``; runs that have ended are not
made again and runs that were killed go on, so the command may be repeated. ``results.json``, ``leaderboard.md`` and
``leaderboard.html`` are made of all runs in the folder and of ``--earlier`` results files, whose runs may be gone.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textgan import command_line, registry
from textgan.command_line import flags_of
from textgan.config import TrainCommand, defaults
from textgan.domains import DOMAINS
from textgan.errors import UserError
from textgan.jobs import Job, check_done, parts_of, play, put
from textgan.leaderboard_page import Published, publish
from textgan.resources import project_folder


@dataclass(frozen=True)
class Command:
    """All games of images, each as it is meant to be played."""

    corpora: tuple[str, ...] = ()
    """Cards, folders or files, or NAME=SPEC. Only games with a preset NAME-<card> are played there, unless --systems
    says which. None: the corpus that a game is played on by default, with its defaults."""
    out: Path = Path("results/images")
    """Folder of the runs and of the leaderboard."""
    systems: tuple[str, ...] = ()
    """Games, or NAME+FIELD=VALUE, or LABEL:NAME+FIELD=VALUE. None: every one that is played on images, fonts or
    series."""
    earlier: tuple[Path, ...] = ()
    """Results files of runs whose folders may be gone: their systems and seeds are added to those of this folder."""
    seeds: tuple[int, ...] = (0,)
    """One repetition each."""
    options: tuple[str, ...] = ()
    """FLAG=VALUE each, for all runs: trainer.ema=0.999, evaluation.final_samples=5000."""
    jobs: int = 2
    """Runs at a time."""
    tiny: bool = False
    """The smallest sizes, which show in minutes that everything works, and nothing else."""
    table_only: bool = False
    """Train nothing; make the leaderboard of the runs that are there."""


def main(args: list[str]) -> None:
    command = command_line.parse(Command, args, "python scripts/benchmark_images.py", __doc__)
    failed: list[Job] = []
    if not command.table_only:
        failed = play(list(jobs(command)), command.jobs)
    said = f"python scripts/benchmark_images.py {shlex.join(args)}".rstrip()
    publish(command.out, command.earlier, Published({}), None, "Image GANs", said)
    check_done(failed)


def jobs(command: Command) -> Iterator[Job]:
    """Every run: seed by seed, so that every system has some before any has all.

    Raises:
        UserError: there is none.
    """
    systems = command.systems or default_systems()
    found = [
        job(command, corpus, system, seed)
        for seed in command.seeds
        for corpus in command.corpora or [None]
        for system in systems
        if command.systems or corpus is None or _preset(system, _named(corpus)[0]).exists()
    ]
    if not found:
        raise UserError(f"corpora is {' '.join(command.corpora)}; no game has a preset for any: name --systems")
    yield from found


def default_systems() -> list[str]:
    """Every game that makes something other than text."""
    makes = {name: DOMAINS[registry.find(name).game.data].makes for name in registry.names()}
    return [name for name, made in makes.items() if made not in ("sentences", "endings")]


def job(command: Command, corpus: str | None, system: str, seed: int) -> Job:
    """The run of a system on a corpus; None: on the one that its game is played on by default."""
    label, name, switches = parts_of(system)
    entry = registry.find(name)
    options: dict[str, Any] = {"seed": seed, "game": {}}
    default = defaults(entry, TrainCommand)
    called = default.corpus
    if corpus is not None:
        called, options["corpus"] = _named(corpus)
        if (preset := _preset(name, called)).exists():
            options["preset"] = str(preset)
    if command.tiny:
        options["tiny"] = True
    for switch in switches:
        put(options["game"], *switch.split("=", 1))
    for pair in command.options:
        put(options, *pair.split("=", 1))
    variant = [str(value) for value in entry.game.usual.get("data", {}).values()]
    table = "-".join([entry.game.data, called, *variant])
    folder = command.out / table / f"{label}-{seed}"
    return Job(table, system, seed, [name, *flags_of(options, default), "--run", str(folder)], folder)


def _named(corpus: str) -> tuple[str, str]:
    """``NAME=SPEC``, or a spec that is called what its file or card is."""
    name, equals, spec = corpus.partition("=")
    return (name, spec) if equals else (Path(corpus.partition(":")[0]).stem, corpus)


def _preset(name: str, corpus: str) -> Path:
    return project_folder("configs") / f"{name}-{corpus}.yaml"


if __name__ == "__main__":
    command_line.run(main)
