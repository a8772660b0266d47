"""Runs that are stopped or killed, and readers that go away."""

from __future__ import annotations

import random
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.command_lines.calls import Call, records, start, wait_for_step


def assert_same_end(run: Path, undisturbed: Path) -> None:
    """The same weights to the last bit, and the same measurements."""
    assert (run / "model.safetensors").read_bytes() == (undisturbed / "model.safetensors").read_bytes()

    def measured(folder: Path) -> list[dict[str, Any]]:
        kept = [r for r in records(folder) if r["kind"] in ("control", "metrics", "test", "sweep")]
        return [{key: value for key, value in r.items() if key != "seconds"} for r in kept]

    assert measured(run) == measured(undisturbed)


def test_a_terminated_run_says_how_to_go_on_and_ends_as_if_nothing_had_been(
    call: Call, here: Path, tiny_run: Path, tiny_options: list[str]
) -> None:
    run = here / "stopped here"  # a name that a shell would take apart
    process = start("textgan.train", *tiny_options, "--run", run, "--trainer.log-every", 1)
    wait_for_step(process, run, 3)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert (process.returncode, out) == (143, "")
    assert any((run / "checkpoints").glob("*/state.pt"))
    assert "Traceback" not in err
    advice = err.splitlines()[-1]
    assert advice.startswith("stopped by SIGTERM; go on with: python -m textgan.train ")
    assert call(*shlex.split(advice.partition("textgan.")[2])).status == 0
    assert_same_end(run, tiny_run)


def kill_and_resume(call: Call, step: int, run: Path, tiny_options: list[str]) -> None:
    """Kills a run without warning at about `step`, then plays it to its end."""
    housekeeping = ["--trainer.log-every", 1, "--trainer.checkpoint-every", 0]
    process = start("textgan.train", *tiny_options, "--run", run, *housekeeping)
    wait_for_step(process, run, step)
    time.sleep(random.uniform(0, 0.05))
    process.kill()
    process.communicate()
    assert call("train", *tiny_options, "--run", run, "--resume").status == 0


def test_a_killed_run_ends_as_if_nothing_had_been(
    call: Call, here: Path, tiny_run: Path, tiny_options: list[str]
) -> None:
    kill_and_resume(call, random.randint(1, 6), here / "killed", tiny_options)
    assert_same_end(here / "killed", tiny_run)


@pytest.mark.slow
@pytest.mark.parametrize("tenth", range(10))
def test_a_run_killed_in_any_stage_ends_as_if_nothing_had_been(
    tenth: int, call: Call, here: Path, tiny_run: Path, tiny_options: list[str]
) -> None:
    last = max(record["step"] for record in records(tiny_run))
    kill_and_resume(call, 1 + tenth * (last - 2) // 10, here / "killed", tiny_options)
    assert_same_end(here / "killed", tiny_run)


def test_a_reader_that_has_had_enough_is_no_error(tiny_run: Path) -> None:
    process = start("textgan.generate", tiny_run, "--num", 20_000)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().count("\n") == 1
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == ("", 0)
    process.stderr.close()
