"""How threads wait: asleep where others want the cores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from textgan import openmp

PROGRAM = "import os, textgan; print(os.environ.get('OMP_WAIT_POLICY'))"


@pytest.mark.parametrize(
    ("running", "cores", "wanted", "free"),
    [(1, 2, 2, True), (2, 2, 2, False), (2, 2, 1, True), (3, 2, 1, False), (5, 8, 4, True), (6, 8, 4, False)],
)
def test_cores_are_free_where_a_core_each_is_left(running: int, cores: int, wanted: int, free: bool) -> None:
    assert openmp.cores_are_free(f"9.50 0.20 0.10 {running}/312 8841\n", cores, wanted) is free


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    return monkeypatch


def told(running: int, folder: Path) -> Path:
    (folder / "load").write_text(f"0.00 0.00 0.00 {running}/90 17\n")
    return folder / "load"


@pytest.mark.parametrize(("running", "policy"), [(1, None), (2, "PASSIVE")])
def test_they_sleep_only_where_another_runs(
    running: int, policy: str | None, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setattr(openmp, "RUNNING", told(running, tmp_path))
    openmp.wait_as_cores_allow()
    assert os.environ.get("OMP_WAIT_POLICY") == policy


def test_what_runs_for_a_moment_is_not_counted(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setattr(openmp, "RUNNING", told(2, tmp_path))
    environment.setattr(openmp.time, "sleep", lambda seconds: told(1, tmp_path))
    openmp.wait_as_cores_allow()
    assert "OMP_WAIT_POLICY" not in os.environ


def test_what_the_user_has_set_holds(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setattr(openmp, "RUNNING", told(2, tmp_path))
    environment.setenv("OMP_WAIT_POLICY", "ACTIVE")
    openmp.wait_as_cores_allow()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_nothing_is_done_where_it_cannot_be_known(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setattr(openmp, "RUNNING", tmp_path / "not there")
    openmp.wait_as_cores_allow()
    assert "OMP_WAIT_POLICY" not in os.environ


@pytest.mark.parametrize(("asked", "wanted"), [("3", 3), ("4,2", 4)])
def test_threads_are_as_many_as_openmp_takes(asked: str, wanted: int, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OMP_NUM_THREADS", asked)
    assert openmp.threads() == wanted


def test_a_process_on_a_full_machine_sleeps_before_torch_is_there() -> None:
    asked = {**os.environ, "OMP_NUM_THREADS": str(1 + (os.cpu_count() or 1))}  # one more than there are cores
    asked.pop("OMP_WAIT_POLICY", None)
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=asked, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ("PASSIVE" if openmp.RUNNING.exists() else "None")
