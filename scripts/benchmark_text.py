"""Every text GAN against likelihood, at an equal budget of generator updates: games x corpora x seeds.

For each corpus and seed a generator is trained by likelihood; from its weights every game goes on for the same number
of generator updates. A game with a generator of its own first learns by likelihood for as long, and one whose paper
does without likelihood has as many more updates of its game. Likelihood itself is measured over a sweep of sampling
temperatures, and goes on for as many updates as a control:

    python scripts/benchmark_text.py --corpora oracle=oracle:FILE.safetensors --quick
    python scripts/benchmark_text.py --corpora captions=train.txt --held-out captions=valid.txt --seeds 0 1 2

A system is a game's name, or ``NAME+FIELD=VALUE`` for a switch of it (``seqgan+reward=constant``), with
``LABEL:`` before it for a name of its own. Each run is a process of its own (``--jobs`` at a time) in
``OUT/<corpus>/<label>-<seed>``; runs that have ended are not made again and runs that were killed go on, so the command
may be repeated. ``results.json``, ``leaderboard.md`` and ``leaderboard.html`` are made of all runs in the folder and
of ``--earlier`` results files, whose runs may be gone.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from textgan import command_line, registry
from textgan.command_line import flags_of
from textgan.config import TrainCommand, defaults, train_command
from textgan.data.spec import TextSpec
from textgan.domains import DOMAINS
from textgan.game import Move
from textgan.jobs import Job, check_done, parts_of, play, put
from textgan.leaderboard_page import Published, publish
from textgan.resources import project_folder

PUBLISHED = Path(__file__).with_name("published.yaml")
BASELINE = "mle"
"""The system whose weights and whose curve over temperatures the others are held against."""
CONTROLS = ("mle+epochs=2+learning_rate=0.001", "seqgan+reward=constant")
"""Likelihood that goes on with a smaller step, and policy gradient without a discriminator."""
SMALL = {
    "interleavings": 1,
    "hidden": 128,
    "generator.hidden": 128,
    "discriminator.hidden": 128,
    "rollouts": 4,
    "samples": 640,
    "latent.epochs": 4,
    "discriminator_rounds": 100,
    "discriminator_steps": 1,
    "discriminator.embedding": 32,
    "discriminator.representations": 16,
    "discriminator.widths": [1, 2, 3, 4, 5],
    "discriminator.filters": [100, 100, 100, 100, 100],
    "discriminator.rounds": 40,
    "discriminator.steps": 2,
    "discriminator.refills": 1,
    "discriminator.epochs": 1,
    "discriminator.pool_size": 256,
    "classifier.pool_size": 640,
}
"""What ``--quick`` changes, in games that have more of these: a generator's update then costs under a second."""


@dataclass(frozen=True)
class Command:
    """All text GANs, the same budget."""

    corpora: tuple[str, ...]
    """NAME=SPEC each: what the leaderboard calls a corpus, and what --corpus takes (a file, a card, oracle:FILE)."""
    held_out: tuple[str, ...] = ()
    """NAME=SPEC for corpora whose validation and test sentences come from another file."""
    out: Path = Path("results/text")
    """Folder of the runs and of the leaderboard."""
    systems: tuple[str, ...] = ()
    """Games, or NAME+FIELD=VALUE, or LABEL:NAME+FIELD=VALUE. None: every game that is played on such a corpus, and the
    controls."""
    earlier: tuple[Path, ...] = ()
    """Results files of runs whose folders may be gone: their systems and seeds are added to those of this folder."""
    labelled: bool = False
    """The corpora have categories: play the games of categories."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One repetition each."""
    updates: int = 200
    """Generator updates after the pre-training."""
    mle_epochs: int = 4
    """Passes by likelihood before them: about where held-out likelihood is best."""
    sentences: int = 10_000
    """Training sentences of the corpora: tells how many updates a pass is, for games that do without those passes."""
    evaluations: int = 10
    """Measurements on the way."""
    quick: bool = False
    """Short schedules for discriminators and smaller samples to measure: for a CPU."""
    options: tuple[str, ...] = ()
    """FLAG=VALUE each, for all runs: data.lower=True, trainer.final=best."""
    jobs: int = 2
    """Runs at a time."""
    table_only: bool = False
    """Train nothing; make the leaderboard of the runs that are there."""


def main(args: list[str]) -> None:
    command = command_line.parse(Command, args, "python scripts/benchmark_text.py", __doc__)
    failed: list[Job] = []
    if not command.table_only:
        failed = play(list(jobs(command)), command.jobs)
    published = Published(yaml.safe_load(PUBLISHED.read_text(encoding="utf-8")))
    said = f"python scripts/benchmark_text.py {shlex.join(args)}"
    publish(command.out, command.earlier, published, BASELINE, "Text GANs", said)
    check_done(failed)


def jobs(command: Command) -> Iterator[Job]:
    """Every run: seed by seed, so that every system has some before any has all; those by likelihood first."""
    held_out = dict(pair.split("=", 1) for pair in command.held_out)
    corpora = dict(pair.split("=", 1) for pair in command.corpora)
    systems = command.systems or default_systems("labelled" if command.labelled else "text")
    for seed in command.seeds:
        for system in dict.fromkeys([BASELINE, *systems]):
            for name, spec in corpora.items():
                yield job(command, name, spec, held_out.get(name), system, seed)


def default_systems(kind: str) -> list[str]:
    """Every game played on this kind of data, and the controls."""
    games = [name for name in registry.names() if registry.find(name).game.data == kind]
    return [*(CONTROLS if kind == "text" else ()), *games]


def job(command: Command, corpus: str, spec: str, held_out: str | None, system: str, seed: int) -> Job:
    """The run of a system."""
    label, name, switches = parts_of(system)
    folder = command.out / corpus / f"{label}-{seed}"
    baseline = command.out / corpus / f"{BASELINE}-{seed}"
    options: dict[str, Any] = {"corpus": spec, "seed": seed, "data": {}, "game": {}}
    if held_out is not None:
        options["data"]["held_out"] = held_out
    sizes = (1000, 5000, 5000) if command.quick else (1000, 10_000, 10_000)
    sweep = [0.4, 0.6, 0.8, 0.9, 1.0, 1.1, 1.2] if system == BASELINE else [1.0]
    options["evaluation"] = {"samples": sizes[0], "final_samples": sizes[1], "references": sizes[2]}
    options["evaluation"]["temperatures"] = sweep
    options["trainer"] = {"evaluations": command.evaluations, "log_every": 50}
    if (presets := project_folder("configs") / f"{name}-{corpus}.yaml").exists():
        options["preset"] = str(presets)
    for switch in switches:
        put(options["game"], *switch.split("=", 1))
    for pair in command.options:
        put(options, *pair.split("=", 1))
    if system == BASELINE:
        options["game"]["epochs"] = command.mle_epochs
        return Job(corpus, system, seed, _flags(name, options, folder), folder)
    needs, likelihood = None, baseline_options(command, corpus)
    if name == BASELINE:  # goes on, or is one of another size
        starts_from_baseline = _config(registry.find(name), options).generator == likelihood.generator
    else:
        starts_from_baseline = set_budget(options, command, name, likelihood)
    if starts_from_baseline:
        needs, options["init"] = baseline, str(baseline)
    return Job(corpus, system, seed, _flags(name, options, folder), folder, needs)


def set_budget(options: dict[str, Any], command: Command, name: str, likelihood: Any) -> bool:
    """Write into the game's options how long it learns; True if its generator is the baseline's, to start from it.

    The rounds of the game are as many as make `command.updates` updates of the generator, counted on its stages.
    """
    entry = registry.find(name)
    config = _config(entry, options)
    game: dict[str, Any] = options["game"]
    if command.quick:
        for field, value in SMALL.items():
            if _exceeds(config, field, value):
                put(game, field, value)
        config = _config(entry, options)
    pretraining = getattr(config, "pretraining", None)
    pretrains = pretraining is not None and pretraining.epochs > 0
    is_alike = entry.game.data == registry.find(BASELINE).game.data  # one that knows categories has other weights
    starts_from_baseline = pretrains and is_alike and getattr(config, "generator", None) == likelihood.generator
    if pretrains:
        epochs = 0 if starts_from_baseline else command.mle_epochs
        game["pretraining"] = {**game.get("pretraining", {}), "epochs": epochs}
    updates = command.updates
    if not pretrains:  # all of its learning is the game
        updates += command.mle_epochs * math.ceil(command.sentences / config.batch_size)
    rounds = "rounds" if hasattr(config, "rounds") else "epochs"
    game[rounds] = max(1, round(updates / updates_a_round(entry, config, spec_of(entry, options))))
    return starts_from_baseline


def spec_of(entry: registry.Entry, options: dict[str, Any]) -> Any:
    """What the game is told of a corpus. Categories are the corpus's own, as a game may be about one of them."""
    if entry.game.data == "labelled":
        return DOMAINS[entry.game.data].open(train_command(entry, options, entry.name)).spec
    return TextSpec(vocab_size=50, length=20, train_size=10_000)


def updates_a_round(entry: registry.Entry, config: Any, spec: TextSpec) -> int:
    """Optimiser steps of the generator in a round of the game's last stage."""
    game = entry.game(config, spec)
    generators = [module for child, module in game.named_children() if child.startswith("generator")]
    own = {id(parameter) for module in generators for parameter in module.parameters()}
    players = {
        player
        for player, optimizer in game.optimizers().items()
        if own & {id(p) for group in optimizer.param_groups for p in group["params"]}
    }
    moves = [move for move in game.stages()[-1].moves if isinstance(move, Move)]
    steps = {player: sum(m.times / m.every for m in moves if m.player == player) for player in players}
    return max(1, round(max(steps.values(), default=1)))


def baseline_options(command: Command, corpus: str) -> Any:
    """The config of the likelihood model on a corpus."""
    preset = project_folder("configs") / f"{BASELINE}-{corpus}.yaml"
    options: dict[str, Any] = {"preset": str(preset)} if preset.exists() else {}
    for pair in command.options:
        put(options, *pair.split("=", 1))
    return _config(registry.find(BASELINE), options)


def _config(entry: registry.Entry, options: dict[str, Any]) -> Any:
    asked = {key: value for key, value in options.items() if key in ("preset", "game")}
    return train_command(entry, asked, entry.name).game


def _exceeds(config: Any, field: str, value: Any) -> bool:
    """Whether a config has the option ``a.b`` and more there than `value`; None stands for a whole corpus."""
    for key in field.split("."):
        if not hasattr(config, key):
            return False
        config = getattr(config, key)
    return config is None or isinstance(config, tuple) or config > value


def _flags(name: str, options: dict[str, Any], folder: Path) -> list[str]:
    default = defaults(registry.find(name), TrainCommand)
    return [name, *flags_of(options, default), "--run", str(folder)]


if __name__ == "__main__":
    command_line.run(main)
