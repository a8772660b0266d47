from __future__ import annotations

import os

import torch

from textgan.stopwatch import machine, peak_memory, seconds_of

CPU = torch.device("cpu")


def test_every_repetition_is_a_call_and_has_its_seconds() -> None:
    calls: list[int] = []
    seconds = seconds_of(lambda: calls.append(1), CPU, repeats=3)
    assert len(calls) == len(seconds) == 3
    assert min(seconds) > 0


def test_the_peak_of_a_process_is_in_bytes_and_counts_what_was_freed() -> None:
    large = torch.ones(2 * 10**8, dtype=torch.uint8)  # written to, so that it is held
    del large
    assert 2 * 10**8 < peak_memory(CPU) < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_machine_is_described_by_what_is_there() -> None:
    described = machine(CPU)
    assert described["torch"] == torch.__version__
    assert described["cores"]
    assert described["cpu"]
    assert "gpu" not in described
