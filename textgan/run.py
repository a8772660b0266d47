"""A run's folder: what was asked, what happened, what came of it.

::

    config.yaml          every option, resolved
    data.json            the data's description and the report of its preparation
    tokenizer.json       token strings of the ids
    metrics.jsonl        one record a line: step, stage, round, seconds and what was seen
    samples/<step>.txt   sentences drawn from the same seed at every measurement; of images a sheet, <step>.png
    sheets/<name>.png    further images to look at, as they were last
    checkpoints/<step>/  see `textgan.checkpoint`
    networks/            what it takes to build them beside these, where a game needs more
    model.safetensors    all networks, when training has ended
    report.html, README.md
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor

from textgan.checkpoint import write_atomically
from textgan.errors import UserError


class Run:
    """A run's folder. `create` makes a new one, `open` finds an old one; neither touches anything else."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    config_file = property(lambda self: self.folder / "config.yaml")
    data_file = property(lambda self: self.folder / "data.json")
    networks_folder = property(lambda self: self.folder / "networks")
    tokenizer_file = property(lambda self: self.folder / "tokenizer.json")
    metrics_file = property(lambda self: self.folder / "metrics.jsonl")
    samples_folder = property(lambda self: self.folder / "samples")
    sheets_folder = property(lambda self: self.folder / "sheets")
    checkpoints_folder = property(lambda self: self.folder / "checkpoints")
    model_file = property(lambda self: self.folder / "model.safetensors")
    report_file = property(lambda self: self.folder / "report.html")
    card_file = property(lambda self: self.folder / "README.md")

    @classmethod
    def create(cls, folder: Path) -> Run:
        """A new run in an empty or missing folder.

        Raises:
            UserError: there is something in the folder already; nothing of it is changed.
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--run {folder} is a file; it must be a folder, new or empty")
        if folder.is_dir() and any(folder.iterdir()):
            is_run = (folder / "config.yaml").exists()
            what = "a run; add --resume to go on with it, or" if is_run else "other files;"
            raise UserError(f"--run {folder} already holds {what} choose a new folder")
        try:
            (folder / "samples").mkdir(parents=True)
            (folder / "checkpoints").mkdir()
        except OSError as error:
            raise UserError(f"--run {folder} cannot be made: {error.strerror}") from error
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> Run:
        """The run in `folder`.

        Raises:
            UserError: there is none.
        """
        run = cls(folder)
        if not run.config_file.is_file():
            why = "it has no config.yaml" if run.folder.is_dir() else "there is no such folder"
            raise UserError(f"{folder} is not a run folder: {why}; give one that textgan.train has written")
        return run

    def discard(self) -> None:
        """Remove the folder of a run that could not begin; one with a checkpoint in it stays."""
        if not any(self.checkpoints_folder.iterdir()):
            shutil.rmtree(self.folder)

    def config(self) -> dict[str, Any]:
        """The resolved options."""
        try:
            content = yaml.safe_load(self.config_file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"{self.config_file} cannot be read: {' '.join(str(error).split())}") from error
        if not isinstance(content, dict) or "name" not in content:
            raise UserError(f"{self.config_file} is not the config of a run: it names no game")
        return content

    def write_config(self, config: dict[str, Any]) -> None:
        write_atomically(self.config_file, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))

    def write_data(self, description: dict[str, Any]) -> None:
        write_atomically(self.data_file, json.dumps(description, ensure_ascii=False, indent=1) + "\n")

    def data(self) -> dict[str, Any]:
        """The description of the data."""
        try:
            return json.loads(self.data_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{self.data_file} cannot be read: {error}") from error

    def write_model(self, weights: Mapping[str, Tensor]) -> None:
        """``model.safetensors``, whole or not at all."""
        draft = self.model_file.with_name(f".{self.model_file.name}")
        save_file({name: _apart(tensor) for name, tensor in weights.items()}, draft)
        draft.replace(self.model_file)

    def log(self, record: dict[str, Any]) -> None:
        """Append one record to ``metrics.jsonl``."""
        with self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """All records; a last line cut short by a kill is passed over."""
        records = []
        if self.metrics_file.exists():
            with self.metrics_file.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    try:
                        records.append(json.loads(line))
                    except ValueError:
                        break
        return records

    def forget_after(self, step: int) -> None:
        """Drop the records of steps after `step`: a resumed run makes these steps again."""
        kept = [record for record in self.records() if record["step"] <= step]
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept)
        write_atomically(self.metrics_file, lines)

    def write_samples(self, step: int, sentences: Sequence[str]) -> None:
        write_atomically(self.samples_folder / f"{step}.txt", "".join(f"{sentence}\n" for sentence in sentences))

    def write_sheet(self, name: str, picture: bytes) -> None:
        """A PNG file in a folder that holds the latest of each name; one whose name is a step is a sample."""
        folder = self.samples_folder if name.isdecimal() else self.sheets_folder
        folder.mkdir(exist_ok=True)
        write_atomically(folder / f"{name}.png", picture)


def _apart(tensor: Tensor) -> Tensor:
    """The tensor on the CPU, sharing memory with no other, its dimensions in order, as safetensors wants it."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
