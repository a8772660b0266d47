"""The networks of a run, as they are on disk, made again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import load_file
from torch import Tensor

from textgan import registry
from textgan.checkpoint import CheckpointStore
from textgan.config import Settings, from_mapping
from textgan.domains import DOMAINS
from textgan.errors import UserError
from textgan.game import Game
from textgan.processes import choose_device
from textgan.run import Run


class Opened(NamedTuple):
    """The networks of a run, on their device and in eval mode, and what they were made from."""

    name: str
    settings: Settings
    spec: Any
    game: Game


def open_game(run: Run, device: str = "auto") -> Opened:
    """The networks in ``model.safetensors`` or, of a run that has not ended, in its newest whole checkpoint.

    Raises:
        UserError: naming the file that is missing, cannot be read or does not fit the others.
    """
    config = run.config()
    entry = registry.find(config["name"])
    if run.networks_folder.is_dir():
        config["game"] = _with_networks(config["game"], run.networks_folder)
    settings = from_mapping(entry, run.config_file, config)
    spec = _spec(run.data_file, DOMAINS[entry.game.data].spec)
    game = entry.game(settings.game, spec)
    try:
        game.load_state_dict(_weights(run))
    except RuntimeError as error:
        raise UserError(f"the weights in {run.folder} do not fit its config.yaml and data.json") from error
    return Opened(entry.name, settings, spec, game.to(choose_device(device)).eval())


def check_sampling(n: int, temperature: float, seed: int | None) -> None:
    """Raises UserError for numbers that nothing can be drawn with."""
    if n < 1:
        raise UserError(f"the number asked for is {n}; it must be at least 1")
    if not 0 < temperature < math.inf:
        raise UserError(f"the temperature is {temperature}; it must be above 0, and finite")
    if seed is not None and not 0 <= seed < 2**63:
        raise UserError(f"the seed is {seed}; it must be in [0, 2**63)")


def _with_networks(game: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A game's options with models out of the run's own folder: what they were made from may be gone.

    The generator's kind is an option of the game, or one of the generator's; other networks have folders of their name.
    """
    changed = dict(game)
    for name, place in {**{other: folder / other for other in game}, "generator": folder}.items():
        if (place / "config.json").is_file():
            kind, options = f"hf:{place}", game[name]
            changed[name] = {**options, "kind": kind} if isinstance(options, Mapping) else kind
    return changed


def _weights(run: Run) -> dict[str, Tensor]:
    if run.model_file.exists():
        try:
            return load_file(run.model_file)
        except Exception as error:  # safetensors raises its own error, which has no public base class
            raise UserError(f"{run.model_file} cannot be read: {error}") from error
    newest = CheckpointStore(run.checkpoints_folder).load()
    if newest is None:
        raise UserError(f"{run.folder} has neither model.safetensors nor a checkpoint yet")
    return newest[1]["game"]


def _spec(file: Path, kind: type[Any]) -> Any:
    try:
        spec: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["spec"]
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in spec.items()}
        return kind(**fields)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is not the description of a run's data: {error}") from error
