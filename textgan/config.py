"""Every option of a run, resolved from presets and flags into one dataclass, and written into the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from textgan.command_line import flags_of, parse, read_preset
from textgan.data.settings import DataConfig
from textgan.errors import UserError
from textgan.evaluation import EvaluationConfig
from textgan.registry import Entry
from textgan.run import Run
from textgan.trainer import TrainerConfig

GameConfig = TypeVar("GameConfig")

HOUSEKEEPING = {
    "trainer.device",
    "trainer.log_every",
    "trainer.checkpoint_every",
    "trainer.keep",
    "tensorboard",
}
"""Options that a resumed run may change: they do not touch what is learned."""


@dataclasses.dataclass(frozen=True)
class Settings(Generic[GameConfig]):
    """Every option of a run but its name and its folder."""

    game: GameConfig
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)
    trainer: TrainerConfig = dataclasses.field(default_factory=TrainerConfig)
    corpus: str = "bbe"
    """What to learn from: a corpus card's name, a file (.txt one sentence a line, .jsonl, .csv, .tsv), hf:NAME through
    datasets, oracle (seeded) or oracle:FILE.safetensors."""
    corpus_field: str | None = None
    """Field of a .jsonl, .csv or .tsv file that holds the text. None: the only one, or the one called text."""
    seed: int = 0
    """Seed of every random number generator."""
    deterministic: bool = False
    """Refuse operations whose result may differ from run to run (GPU; a CPU run is bitwise repeatable anyway)."""
    tensorboard: bool = False
    """Write event files into the run too (needs the extra: pip install textgan[log])."""


@dataclasses.dataclass(frozen=True)
class TrainCommand(Settings[GameConfig], Generic[GameConfig]):
    """`Settings` and how the command itself behaves."""

    preset: Path | None = None
    """YAML file of options; flags beside it have the last word. A name alone (seqgan-oracle) is looked up in configs/."""
    run: Path | None = None
    """Folder of the run, new or empty. None: the next free runs/NAME-CORPUS-N."""
    resume: bool = False
    """Go on with the run in --run, with the options it was begun with."""
    tiny: bool = False
    """The game's smallest sizes and 600 sentences: shows in seconds that everything works."""
    dry_run: bool = False
    """Print the plan (stages, moves, steps, parameters, time and memory) and write nothing."""

    @property
    def settings(self) -> Settings[GameConfig]:
        return Settings(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Settings)})


def parse_train_command(entry: Entry, flags: Sequence[str], prog: str) -> TrainCommand:
    """The game's defaults, then the preset or the run to be resumed, then the user's own flags.

    Raises:
        UserError: an unknown option or a value of the wrong type, in the flags or (naming the file) in the preset;
            a run to be resumed that was begun with other options.
    """
    kind = TrainCommand[entry.config]  # type: ignore[name-defined]
    default = TrainCommand(game=entry.config())
    command = parse(kind, flags, prog, entry.doc, default)
    if command.tiny:
        default = _tiny(entry)
    before: list[str] = []
    if command.resume:
        before = flags_of(_saved_options(entry, command), default)
    elif command.preset is not None:
        before = flags_of(read_preset(command.preset), default)
        try:
            parse(kind, before, prog, default=default)
        except UserError as error:
            raise UserError(f"the preset {command.preset}: {error}") from None
    return parse(kind, [*before, *flags], prog, default=default)


def train_command(entry: Entry, options: Mapping[str, Any], prog: str) -> TrainCommand:
    """`parse_train_command` for options given as a mapping."""
    return parse_train_command(entry, flags_of(options, TrainCommand(game=entry.config())), prog)


def _saved_options(entry: Entry, command: TrainCommand) -> dict[str, Any]:
    if command.run is None:
        raise UserError("--resume needs --run DIR, the folder of the run to go on with")
    saved = Run.open(command.run).config()
    if saved.pop("name") != entry.name:
        raise UserError(f"{command.run} is a run of another game; it cannot be resumed as {entry.name!r}")
    return saved


def _tiny(entry: Entry) -> TrainCommand:
    return TrainCommand(
        game=entry.tiny,
        data=DataConfig(limit=600),
        evaluation=EvaluationConfig(samples=100, final_samples=100, temperatures=(0.8, 1.0)),
        trainer=TrainerConfig(evaluations=1),
    )


def from_mapping(entry: Entry, mapping: Mapping[str, Any]) -> Settings:
    """The settings that `as_mapping` has written.

    Raises:
        UserError: a key or a type that this version does not know.
    """
    options = {key: value for key, value in mapping.items() if key != "name"}
    flags = flags_of(options, Settings(game=entry.config()))
    return parse(Settings[entry.config], flags, entry.name)  # type: ignore[name-defined]


def as_mapping(name: str, settings: Settings) -> dict[str, Any]:
    """`settings` as plain types, the game's name first."""
    return {"name": name, **_plain(dataclasses.asdict(settings))}


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"game": {"rollouts": 4}}`` as ``{"game.rollouts": 4}``."""
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def check_resumable(saved: Mapping[str, Any], asked: Mapping[str, Any], folder: Path) -> None:
    """A run goes on with the options it was begun with.

    Raises:
        UserError: naming each option that differs, its value in the run and the one asked for.
    """
    before, now = flatten(saved), flatten(asked)
    changed = [
        f"{key} is {before.get(key)!r} there and {now.get(key)!r} here"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and key not in HOUSEKEEPING
    ]
    if changed:
        raise UserError(f"{folder} cannot be resumed with other options: {'; '.join(changed)}")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
