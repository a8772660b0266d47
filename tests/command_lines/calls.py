"""A call of a command line, in this process or in one of its own, and what it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import textgan


class Outcome(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The message of a user's error, which is one line and all there is."""
        assert (self.status, self.out) == (2, "")
        assert self.err.startswith("textgan: error: ")
        assert self.err.count("\n") == 1
        return self.err.removeprefix("textgan: error: ").rstrip()


Call = Callable[..., Outcome]


def contents(folder: Path) -> dict[Path, bytes | None]:
    """Every folder and every file below `folder`, with its bytes."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def start(*args: object) -> subprocess.Popen[str]:
    """A command line in a process of its own, with one thread as the tests have."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(textgan.__file__).parents[1])}
    command = [sys.executable, "-m", *map(str, args)]
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=-1
    )


def wait_for_step(process: subprocess.Popen[str], run: Path, step: int) -> None:
    """Returns when the run has logged `step`."""
    log = run / "metrics.jsonl"
    while process.poll() is None:
        if log.exists() and any(f'"step": {n},' in log.read_text() for n in range(step, step + 5)):
            return
        time.sleep(0.005)
    pytest.fail(f"the run ended before step {step}: {process.communicate()[1]}")
