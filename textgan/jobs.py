"""Training runs as processes of their own, several at a time: what the benchmark scripts are made of.

A run that has ended is not made again and one that was killed goes on, so that a script may be repeated.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from textgan.collapse import Collapsed
from textgan.openmp import cores
from textgan.signals import SignalFlag


@dataclass(frozen=True)
class Job:
    """One run of a system on a corpus."""

    corpus: str
    system: str
    seed: int
    flags: list[str]
    """Of ``python -m textgan.train``; the first is the game's name."""
    folder: Path
    needs: Path | None = None
    """The run that it starts from."""

    @property
    def is_done(self) -> bool:
        return (self.folder / "model.safetensors").exists()


def parts_of(system: str) -> tuple[str, str, list[str]]:
    """``[LABEL:]NAME[+FIELD=VALUE...]``: what it is called, the game, and its switches."""
    head, *switches = system.split("+")
    label, _, name = head.rpartition(":")
    return label or system, name, switches


def put(options: MutableMapping[str, Any], field: str, value: Any) -> None:
    """``a.b=c`` into nested options that do not say it yet; a text is read as YAML."""
    *path, last = field.split(".")
    for key in path:
        options = options.setdefault(key, {})
    options.setdefault(last, yaml.safe_load(value) if isinstance(value, str) else value)


def play(todo: Sequence[Job], at_once: int) -> list[Job]:
    """Run every job that is not done, so many processes at a time; the ones that failed.

    A job waits for the run that it starts from. A signal to stop is passed on to the runs, which then save themselves.
    """
    waiting = [job for job in todo if not job.is_done]
    running: dict[subprocess.Popen[bytes], tuple[Job, float]] = {}
    failed: list[Job] = []
    count = len(waiting)
    threads = str(max(1, cores() // at_once))
    with SignalFlag() as signals:
        try:
            while (waiting or running) and signals.received is None:
                ready = [job for job in waiting if job.needs is None or (job.needs / "model.safetensors").exists()]
                for job in ready[: at_once - len(running)]:
                    waiting.remove(job)
                    running[_start(job, threads)] = job, time.monotonic()
                if not running:
                    return failed + waiting
                for process in [process for process in running if process.poll() is not None]:
                    job, started = running.pop(process)
                    ended = process.returncode in (0, Collapsed.status) and job.is_done
                    failed += [] if ended else [job]
                    done = count - len(waiting) - len(running)
                    outcome = "done" if ended else f"FAILED ({process.returncode})"
                    print(f"{done}/{count}  {job.folder}  {time.monotonic() - started:.0f} s  {outcome}", flush=True)
                time.sleep(0.2)
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()
    if signals.received is not None:
        raise SystemExit(128 + signals.received)
    return failed


def check_done(failed: Sequence[Job]) -> None:
    """Raises SystemExit naming the runs that failed."""
    if failed:
        raise SystemExit(f"failed: {', '.join(str(job.folder) for job in failed)}; see the .log beside each")


def _start(job: Job, threads: str) -> subprocess.Popen[bytes]:
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    resume = ["--resume"] if (job.folder / "checkpoints").is_dir() else []
    command = [sys.executable, "-m", "textgan.train", *job.flags, *resume]
    with (job.folder.parent / f"{job.folder.name}.log").open("wb") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": threads}
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
