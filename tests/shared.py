"""What pytest-xdist's processes share: made by the first that asks for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock, Timeout


def made_once(
    factory: pytest.TempPathFactory,
    name: str,
    make: Callable[[Path], None],
    meanwhile: Callable[[], object] | None = None,
) -> Path:
    """The path that `make` writes, once in a session of tests. Where another process is at it, this one waits for it,
    after it has done what there is to do `meanwhile`."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    path, done = root / "shared" / name, root / f"{name}.done"
    path.parent.mkdir(exist_ok=True)
    lock = FileLock(root / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if meanwhile:
            meanwhile()
        lock.acquire()
    try:
        if not done.exists():
            shutil.rmtree(path, ignore_errors=True)  # of a process that failed
            make(path)
            done.touch()
    finally:
        lock.release()
    return path
