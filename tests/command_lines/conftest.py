"""A command line called as a user calls it, in an empty folder."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tests.command_lines.calls import Call, Outcome
from textgan import command_line


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs a command line in this process, as `command_line.run` does."""

    def call(command: str, *args: object) -> Outcome:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [command, *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            command_line.run(importlib.import_module(f"textgan.{command}").main)
        return Outcome(int(stop.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
