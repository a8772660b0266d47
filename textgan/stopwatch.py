"""Seconds and bytes, as they are measured everywhere: clocks that wait for the GPU, peaks of memory, the machine."""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from textgan.openmp import processors


def now(device: torch.device) -> float:
    """Seconds on a clock, read when everything that `device` was asked to do is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds_of(call: Callable[[], Any], device: torch.device, repeats: int = 1) -> list[float]:
    """Seconds of each of `repeats` calls. Nothing is called to warm up."""
    found = []
    for _ in range(repeats):
        started = now(device)
        call()
        found.append(now(device) - started)
    return found


def peak_memory(device: torch.device) -> int:
    """Most bytes held so far: by the whole process on a CPU, by tensors on a GPU (since `forget_peak`)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak(device: torch.device) -> None:
    """Let a GPU's peak begin anew. That of a process cannot."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def machine(device: torch.device) -> dict[str, str | int]:
    """What a measurement depends on beside the program: the processor, its cores, the GPU, if it is one, and torch."""
    described: dict[str, str | int] = {
        "cpu": _cpu_model(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": processors(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        described["gpu"] = torch.cuda.get_device_name(device)
        described["cuda"] = torch.version.cuda or "none"
    return described


def _cpu_model() -> str:
    """The processor's name as Linux tells it; elsewhere, what Python knows."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
