"""How many threads OpenMP has, and how they wait: what libgomp reads when torch is first imported. Imports no torch.

A container may be allowed less time than its cores have. Torch counts the cores: its threads use the time up together
and all stand still until they are given more.

A thread that has no work may spin, which it does by default for a few milliseconds, or sleep. On two idle cores
spinning made steps of text games 1.2 to 1.5 times faster. With another process on one of the cores it made them 1.3 to
2 times slower.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

RUNNING = Path("/proc/loadavg")
"""Its fourth word is "threads that run or could/all threads", of the whole machine."""

GROUP, LIMITS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
"""Which control groups a process is in, and where the groups' limits are."""

OURS = "TEXTGAN_THREADS"
"""Variable that says how many threads are not of the user's choice."""

LOOKS, BETWEEN = 5, 0.01
"""How often it is read, with so many seconds between: what runs for a moment only is not counted."""


def settle_threads() -> None:
    """Have as many threads as there is time for, and let them wait as cores allow. What the user has set holds."""
    found = cores()
    if "OMP_NUM_THREADS" not in os.environ and found < processors():
        os.environ[OURS] = os.environ["OMP_NUM_THREADS"] = str(found)
    wait_as_cores_allow()


def share_threads(processes: int) -> int | None:
    """Divides what `settle_threads` has found among so many processes of this machine, of which this one is the first.

    None where the user has said how many threads there are, or where time is not limited: nothing is changed then.
    """
    if os.environ.get(OURS, "") != os.environ.get("OMP_NUM_THREADS"):
        return None
    os.environ["OMP_NUM_THREADS"] = str(max(1, cores() // processes))
    return threads()


def cores() -> int:
    """Cores that this process may keep busy."""
    return max(1, int(min(processors(), time_allowed())))


def time_allowed(group: Path = GROUP, limits: Path = LIMITS) -> float:
    """Seconds of all cores together that a control group of this process may use a second; inf without a limit.

    Read are ``cpu.max`` (version 2) and ``cpu.cfs_quota_us`` (version 1) of its groups and of those that they are in.
    """
    found = math.inf
    for line in group.read_text().splitlines() if group.exists() else []:
        _, kinds, path = line.split(":", 2)
        top = limits if not kinds else limits / "cpu" if "cpu" in kinds.split(",") else None
        if top is None:
            continue
        own = top / path.lstrip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(top):
                found = min(found, _limit(folder))
    return found


def _limit(folder: Path) -> float:
    """Of one group."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{kind}_us").read_text().strip() for kind in ("quota", "period"))
        return math.inf if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError):  # no such file, or of another kind than known
        return math.inf


def wait_as_cores_allow() -> None:
    """Let threads sleep while they wait, where others want cores that they would spin on. What the user has set holds.

    Where it cannot be known, as there is no such file, they wait as usual.
    """
    if "OMP_WAIT_POLICY" in os.environ or not RUNNING.exists():
        return
    for _ in range(LOOKS):
        if cores_are_free(RUNNING.read_text(), os.cpu_count() or 1, threads()):
            return
        time.sleep(BETWEEN)
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def cores_are_free(load: str, cores: int, wanted: int) -> bool:
    """Whether `wanted` threads find a core each beside what runs already, this thread not counted.

    Args:
        load: what `RUNNING` holds.
        cores: of the whole machine.
    """
    running = int(load.split()[3].partition("/")[0])
    return running - 1 + wanted <= cores


def threads() -> int:
    """Threads that torch is going to compute with."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(asked) if asked.isdecimal() else processors()


def processors() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
