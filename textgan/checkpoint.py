"""Checkpoints that are whole or are not there.

A checkpoint is a folder ``<step>/`` with one ``state.pt`` and a ``manifest.json`` of sizes and SHA-256 sums. It is
written beside its final name, flushed to the disk and renamed, so a killed process never leaves a half one. It is
checked before it is used; a spoiled one is passed over for the one before it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from textgan.errors import UserError

STATE = "state.pt"
MANIFEST = "manifest.json"


class CheckpointWarning(UserWarning):
    """A checkpoint could not be used; the message names the file and says why."""


class CheckpointStore:
    """The last `keep` checkpoints of a run and its best, under `folder`."""

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder = Path(folder)
        self.keep = keep

    def steps(self) -> list[int]:
        """Steps of which there is a checkpoint, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdigit())

    @property
    def best(self) -> dict[str, Any] | None:
        """``{"step", "metric", "value"}`` of the best checkpoint, None if none was marked yet."""
        path = self.folder / "best.json"
        try:
            return json.loads(path.read_text()) if path.exists() else None
        except ValueError as error:
            warnings.warn(f"{path} cannot be read: {error}", CheckpointWarning, stacklevel=2)
            return None

    def save(self, step: int, state: dict[str, Any], best: dict[str, Any] | None = None) -> Path:
        """Write the checkpoint of `step`; `best` (metric and value) marks it as the best one so far.

        Raises:
            UserError: it cannot be written (disk full, no permission). What was there before is still there.
        """
        target = self.folder / str(step)
        draft = self.folder / f".draft-{step}-{os.getpid()}"
        try:
            draft.mkdir(parents=True)
            torch.save(state, draft / STATE)
            _write_manifest(draft, step)
            _replace_folder(draft, target)
            if best is not None:
                write_atomically(self.folder / "best.json", json.dumps({"step": step, **best}) + "\n")
        except (OSError, RuntimeError) as error:  # torch.save reports a full disk as RuntimeError
            raise UserError(f"the checkpoint {target} cannot be written: {error}") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        self._prune()
        return target

    def load(self) -> tuple[int, dict[str, Any]] | None:
        """Step and state of the newest checkpoint that is whole; None if there is no checkpoint at all.

        Warns, naming the file, for each newer one that is spoiled.

        Raises:
            UserError: there are checkpoints, but none is whole.
        """
        steps = self.steps()
        for step in reversed(steps):
            try:
                return step, self.load_step(step)
            except UserError as error:
                warnings.warn(f"{error}; trying the one before it", CheckpointWarning, stacklevel=2)
        if steps:
            raise UserError(f"none of the {len(steps)} checkpoints in {self.folder} is whole")
        return None

    def load_step(self, step: int) -> dict[str, Any]:
        """State of one checkpoint.

        Raises:
            UserError: it is not there, or a file of it is missing, truncated or changed.
        """
        folder = self.folder / str(step)
        verify(folder)
        return torch.load(folder / STATE, map_location="cpu", weights_only=True)

    def _prune(self) -> None:
        best = self.best
        kept = {*self.steps()[-self.keep :], *([best["step"]] if best else [])}
        for step in self.steps():
            if step not in kept:
                shutil.rmtree(self.folder / str(step), ignore_errors=True)
        for left_over in [*self.folder.glob(".draft-*"), *self.folder.glob(".old-*")]:  # of a killed process
            shutil.rmtree(left_over, ignore_errors=True)


def verify(folder: Path) -> None:
    """Check every file of a checkpoint folder against its manifest.

    Raises:
        UserError: naming the first file that is missing, truncated or changed.
    """
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder / MANIFEST} cannot be read: {error}") from error
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is missing")
        if path.stat().st_size != expected["bytes"]:
            raise UserError(f"{path} has {path.stat().st_size} bytes, not {expected['bytes']}: it is truncated")
        if _sha256(path) != expected["sha256"]:
            raise UserError(f"{path} does not have the SHA-256 of its manifest: it was changed after writing")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; text as UTF-8."""
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    with draft.open("wb") as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """A draft beside a new `folder`, which it becomes at the end; where anything is raised nothing is left of it.

    Raises:
        UserError: there is something in the folder already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not an empty folder; nothing in it is overwritten")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield draft
        draft.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        draft.replace(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _write_manifest(folder: Path, step: int) -> None:
    state = folder / STATE
    _flush_to_disk(state)
    files = {STATE: {"bytes": state.stat().st_size, "sha256": _sha256(state)}}
    (folder / MANIFEST).write_text(json.dumps({"step": step, "torch": torch.__version__, "files": files}, indent=1))
    _flush_to_disk(folder / MANIFEST)
    _flush_to_disk(folder)


def _replace_folder(draft: Path, target: Path) -> None:
    if target.exists():  # a spoiled one that a resumed run has reached again
        target.rename(target.with_name(f".old-{target.name}"))
    draft.replace(target)
    _flush_to_disk(target.parent)


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
