"""How OpenMP's threads wait for one another: what libgomp reads when torch is first imported. Imports nothing of torch.

A thread that has no work may spin, which it does by default for a few milliseconds, or sleep. On two idle cores
spinning made steps of text games 1.2 to 1.5 times faster. With another process on one of the cores it made them 1.3 to
2 times slower.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

RUNNING = Path("/proc/loadavg")
"""Its fourth word is "threads that run or could/all threads", of the whole machine."""

LOOKS, BETWEEN = 5, 0.01
"""How often it is read, with so many seconds between: what runs for a moment only is not counted."""


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
    if asked.isdecimal():
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
