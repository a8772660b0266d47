"""How many threads there are, and how they wait: no more than there is time for, asleep where others want the cores."""

from __future__ import annotations

import math
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


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    """Control groups: version 2 of one process, a, in a group of its own, in another; version 1 of another, b."""
    limits = {
        "cpu.max": "max 100000\n",
        "pods/cpu.max": "350000 100000\n",
        "pods/a/cpu.max": "800000 100000\n",
        "cpu/cpu.cfs_quota_us": "-1\n",
        "cpu/cpu.cfs_period_us": "100000\n",
        "cpu/b/cpu.cfs_quota_us": "25000\n",
        "cpu/b/cpu.cfs_period_us": "50000\n",
        "odd/cpu.max": "of another kind\n",
    }
    for name, text in limits.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("group", "seconds"),
    [
        ("0::/\n", math.inf),
        ("0::/pods\n", 3.5),
        ("0::/pods/a\n", 3.5),  # a group has no more than the one it is in
        ("0::/gone\n", math.inf),
        ("0::/odd\n", math.inf),
        ("3:cpuset:/b\n2:cpu,cpuacct:/b\n0::/\n", 0.5),
        ("2:memory:/b\n1:cpu:/\n", math.inf),
        ("1:cpu:/b\n0::/pods/a:b\n", 0.5),
    ],
)
def test_a_process_may_use_what_its_groups_allow(group: str, seconds: float, groups: Path) -> None:
    (groups / "group").write_text(group)
    assert openmp.time_allowed(groups / "group", groups) == seconds
    assert openmp.time_allowed(groups / "no such file", groups) == math.inf


@pytest.fixture
def eight(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Eight cores, and nothing said about threads."""
    environment.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    environment.setattr(openmp, "wait_as_cores_allow", lambda: None)
    environment.delenv("OMP_NUM_THREADS")
    environment.setenv(openmp.OURS, "")
    environment.delenv(openmp.OURS)
    return environment


@pytest.mark.parametrize(
    ("allowed", "threads", "of_three"),
    [(3.5, "3", 1), (6.0, "6", 2), (0.5, "1", 1), (math.inf, None, None), (8.0, None, None)],
)
def test_there_are_as_many_threads_as_there_is_time_for(
    allowed: float, threads: str | None, of_three: int | None, eight: pytest.MonkeyPatch
) -> None:
    eight.setattr(openmp, "time_allowed", lambda: allowed)
    openmp.settle_threads()
    assert os.environ.get("OMP_NUM_THREADS") == threads
    assert openmp.threads() == int(threads or 8)
    assert openmp.cores() == int(threads or 8)
    assert openmp.share_threads(3) == of_three  # without a limit that is left to others
    assert os.environ.get("OMP_NUM_THREADS") == (threads and str(of_three))
    openmp.settle_threads()  # as in a process that was started
    openmp.share_threads(3)
    assert os.environ.get("OMP_NUM_THREADS") == (threads and str(of_three))


def test_there_are_as_many_threads_as_the_user_has_said(eight: pytest.MonkeyPatch) -> None:
    eight.setattr(openmp, "time_allowed", lambda: 3.5)
    eight.setenv("OMP_NUM_THREADS", "6")
    openmp.settle_threads()
    assert openmp.share_threads(3) is None
    assert os.environ["OMP_NUM_THREADS"] == "6"


@pytest.mark.parametrize(("asked", "wanted"), [("3", 3), ("4,2", 4)])
def test_threads_are_as_many_as_openmp_takes(asked: str, wanted: int, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OMP_NUM_THREADS", asked)
    assert openmp.threads() == wanted


def test_a_process_on_a_full_machine_sleeps_before_torch_is_there() -> None:
    asked = {**os.environ, "OMP_NUM_THREADS": str(1 + (os.cpu_count() or 1))}  # one more than there are cores
    asked.pop("OMP_WAIT_POLICY", None)
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=asked, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ("PASSIVE" if openmp.RUNNING.exists() else "None")
