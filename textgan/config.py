"""Every option of a run, resolved from presets and flags into one dataclass, and written into the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from textgan.command_line import flags_of, parse, parse_known, read_preset
from textgan.data.settings import DataConfig
from textgan.domains import DOMAINS
from textgan.errors import UserError
from textgan.evaluation import EvaluationConfig
from textgan.processes import choose_device
from textgan.registry import Entry
from textgan.run import Run
from textgan.trainer import TrainerConfig

GameConfig = TypeVar("GameConfig")
DataOptions = TypeVar("DataOptions")
EvaluationOptions = TypeVar("EvaluationOptions")
AnySettings = TypeVar("AnySettings", bound="Settings[Any, Any, Any]")

HOUSEKEEPING = {
    "trainer.device",
    "trainer.devices",
    "trainer.nodes",
    "trainer.log_every",
    "trainer.checkpoint_every",
    "trainer.keep",
    "tensorboard",
}
"""Options that a resumed run may change: they do not touch what is learned."""


@dataclasses.dataclass(frozen=True)
class Settings(Generic[GameConfig, DataOptions, EvaluationOptions]):
    """Every option of a run but its name and its folder."""

    game: GameConfig
    data: DataOptions = dataclasses.field(default_factory=DataConfig)  # type: ignore[assignment]
    evaluation: EvaluationOptions = dataclasses.field(default_factory=EvaluationConfig)  # type: ignore[assignment]
    trainer: TrainerConfig = dataclasses.field(default_factory=TrainerConfig)
    corpus: str = "bbe"
    """What to learn from: a corpus card's name, a file (.txt one sentence or story a line, .jsonl, .csv, .tsv), a
    folder with a .txt for each category, hf:NAME through datasets; for sentences also oracle (seeded) or
    oracle:FILE.safetensors."""
    corpus_field: str | None = None
    """Field of a .jsonl, .csv or .tsv file that holds the text: its name, or its number where columns have no names.
    None: the only one, or the one called text."""
    label_field: str | None = None
    """Field that holds the category, for games of labelled sentences. None: the one called label."""
    init: str | None = None
    """Folder of a finished run on the same corpus: networks of the same name start from its weights."""
    seed: int = 0
    """Seed of every random number generator."""
    deterministic: bool = False
    """Refuse operations whose result may differ from run to run (GPU; a CPU run is bitwise repeatable anyway)."""
    tensorboard: bool = False
    """Write event files into the run too (needs the extra: pip install textgan[log])."""

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed is {self.seed}; it must be in [0, 2**63)")


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """What the command itself does, whatever the game."""

    preset: Path | None = None
    """YAML file of options, or the name of one in configs/ (seqgan-oracle). Flags beside it have the last word."""
    run: Path | None = None
    """Folder of the run, new or empty. None: the next free runs/NAME-CORPUS-N."""
    resume: bool = False
    """Go on with the run in --run, with the options it was begun with."""
    tiny: bool = False
    """The game's smallest sizes and 600 sentences: shows in seconds that everything works."""
    dry_run: bool = False
    """Print the plan (stages, moves, steps, parameters, time and memory) and write nothing."""


@dataclasses.dataclass(frozen=True)
class TrainCommand(
    Behaviour,
    Settings[GameConfig, DataOptions, EvaluationOptions],
    Generic[GameConfig, DataOptions, EvaluationOptions],
):
    """Everything there is on the command line."""

    @property
    def settings(self) -> Settings[GameConfig, DataOptions, EvaluationOptions]:
        return Settings(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Settings)})


def parse_train_command(entry: Entry, flags: Sequence[str], prog: str, add_help: bool = True) -> TrainCommand:
    """The game's defaults; over them the run to be resumed, ``--tiny`` and the preset; over these the user's own flags.

    Raises:
        UserError: an unknown option or a value of the wrong type, in the flags or (naming the file) in the preset;
            a device that is not here.
    """
    behaviour = parse_known(Behaviour, flags, prog)
    layers: list[tuple[Path | str, Mapping[Any, Any]]] = []
    if behaviour.resume:
        if behaviour.run is None:
            raise UserError("--resume needs --run DIR, the folder of the run to go on with")
        run = Run.open(behaviour.run)
        layers.append((run.config_file, run.config()))
    if behaviour.tiny:
        layers.append(("--tiny", _tiny(entry)))
    if behaviour.preset is not None:
        layers.append((f"the preset {behaviour.preset}", read_preset(behaviour.preset)))
    before: list[str] = []
    for source, options in layers:
        before += _layer(entry, source, options, before)
    default = defaults(entry, TrainCommand)
    command: TrainCommand = parse(_typed(entry, TrainCommand), [*before, *flags], prog, entry.doc, default, add_help)
    choose_device(command.trainer.device)
    return command


def defaults(entry: Entry, kind: type[AnySettings]) -> AnySettings:
    """What holds for a game where nothing is said."""
    domain, usual = DOMAINS[entry.game.data], dict(entry.game.usual)
    data = domain.data(**usual.pop("data", {}))
    return kind(game=entry.config(), data=data, evaluation=domain.evaluation(), **{"corpus": domain.embedded, **usual})


def _typed(entry: Entry, kind: Any) -> Any:
    """`kind`, its options being those of this game and of what it is played on."""
    domain = DOMAINS[entry.game.data]
    return kind[entry.config, domain.data, domain.evaluation]


def train_command(entry: Entry, options: Mapping[str, Any], prog: str) -> TrainCommand:
    """`parse_train_command` for options given as a mapping."""
    return parse_train_command(entry, flags_of(options, defaults(entry, TrainCommand)), prog, add_help=False)


def _layer(entry: Entry, source: Path | str, options: Mapping[Any, Any], before: Sequence[str]) -> list[str]:
    """Options of a run, as flags, from a file that may name its game; `before` are those of the layers below.

    Raises:
        UserError: naming `source`, which is of another game or has an option that there is not.
    """
    if options.get("name", entry.name) != entry.name:
        raise UserError(f"{source} is of the game {options['name']!r}; it must be of {entry.name!r}")
    default = defaults(entry, Settings)
    flags = flags_of({key: value for key, value in options.items() if key != "name"}, default)
    try:
        parse(_typed(entry, Settings), [*before, *flags], entry.name, default=default, add_help=False)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    return flags


def _tiny(entry: Entry) -> dict[str, Any]:
    return {
        "game": _plain(dataclasses.asdict(entry.tiny)),
        "trainer": {"evaluations": 1},
        **DOMAINS[entry.game.data].tiny,
    }


def from_mapping(entry: Entry, source: Path, mapping: Mapping[str, Any]) -> Settings:
    """The settings that `as_mapping` has written to the file `source`.

    Raises:
        UserError: naming `source`, a key or a type that this version does not know.
    """
    flags = _layer(entry, source, mapping, [])
    return parse(_typed(entry, Settings), flags, entry.name, default=defaults(entry, Settings), add_help=False)


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
