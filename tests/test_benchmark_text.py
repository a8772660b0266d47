"""What the benchmark of text games asks of each run: nothing is trained here."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import pytest

from tests.scripts import FOLDER, load_script


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("benchmark_text")


def run_of(script: ModuleType, system: str, **changed: Any) -> tuple[Any, dict[str, str]]:
    """The job of a system on the oracle with seed 3, and its flags."""
    command = dataclasses.replace(script.Command(("oracle=oracle",), seeds=(3,), updates=100, quick=True), **changed)
    job = script.job(command, "oracle", "oracle", None, system, 3)
    return job, dict(flag.split("=", 1) for flag in job.flags if flag.startswith("--") and "=" in flag)


def test_labels_and_switches_reach_the_run(script: ModuleType) -> None:
    job, flags = run_of(script, "warm:cot+mediator.hidden=96+pretraining.epochs=1")
    assert job.folder.name == "warm-3"
    assert flags["--game.mediator.hidden"] == "96"


@pytest.mark.parametrize(("system", "rounds"), [("seqgan", 100), ("coldgan", 10), ("relgan", 100)])
def test_a_game_has_as_many_rounds_as_make_the_updates_asked_for(script: ModuleType, system: str, rounds: int) -> None:
    """The presets on the oracle make 1, 10 and 1 updates of the generator a round."""
    assert run_of(script, system)[1]["--game.rounds"] == str(rounds)


def test_a_game_of_the_same_generator_starts_from_the_likelihood_model(script: ModuleType) -> None:
    job, flags = run_of(script, "seqgan")
    assert job.needs is not None
    assert (job.needs.name, flags["--init"]) == ("mle-3", str(job.needs))
    assert flags["--game.pretraining.epochs"] == "0"


def test_options_of_all_runs_are_those_of_the_likelihood_model_too(script: ModuleType) -> None:
    job, flags = run_of(script, "seqgan", options=("game.generator.hidden=48", "data.limit=900"))
    assert (flags["--game.generator.hidden"], flags["--data.limit"]) == ("48", "900")
    assert flags["--init"] == str(job.needs)
    job, flags = run_of(script, "mle+epochs=2", options=("game.generator.hidden=48",))
    assert flags["--init"] == str(job.needs)


def test_likelihood_goes_on_from_itself_unless_it_is_of_another_size(script: ModuleType) -> None:
    job, flags = run_of(script, "mle+epochs=2")
    assert job.needs is not None
    assert (flags["--init"], flags["--game.epochs"]) == (str(job.needs), "2")
    job, flags = run_of(script, "large:mle+generator.hidden=96")
    assert job.needs is None
    assert "--init" not in flags


def test_one_with_a_generator_of_its_own_learns_by_likelihood_first(script: ModuleType) -> None:
    job, flags = run_of(script, "relgan")
    assert job.needs is None
    assert "--init" not in flags
    assert flags["--game.pretraining.epochs"] == "4"
    assert flags["--game.generator.hidden"] == "128"  # quick


def test_one_without_likelihood_plays_for_as_long_in_all(script: ModuleType) -> None:
    job, flags = run_of(script, "cot")
    assert job.needs is None
    assert flags["--game.rounds"] == str(100 + 4 * 157)  # 10,000 sentences are 157 batches of 64


def test_every_run_of_a_seed_is_measured_alike_and_likelihood_over_temperatures(script: ModuleType) -> None:
    _, flags = run_of(script, "gsgan")
    likelihood, of_likelihood = run_of(script, "mle")
    assert likelihood.needs is None
    for name in ("samples", "final-samples"):
        assert flags[f"--evaluation.{name}"] == of_likelihood[f"--evaluation.{name}"]
    temperatures = likelihood.flags[likelihood.flags.index("--evaluation.temperatures") + 1 :]
    assert {"0.4", "0.8", "1.2"} <= set(temperatures)


def test_a_signal_stops_the_runs_which_save_themselves_and_may_go_on(script: ModuleType, corpus_file: Path) -> None:
    """In a process of its own: the signal is sent to it alone."""
    with TemporaryDirectory() as out:
        options = [
            "--corpora",
            f"animals={corpus_file}",
            "--out",
            out,
            "--seeds",
            "0",
            "--systems",
            "mle",
            "--jobs",
            "1",
        ]
        line = [sys.executable, str(FOLDER / "benchmark_text.py"), *options, "--mle-epochs", "100000"]
        process = subprocess.Popen(line, stderr=subprocess.DEVNULL)
        folder = Path(out) / "animals" / "mle-0"
        while not (folder / "metrics.jsonl").exists():
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143
        assert any((folder / "checkpoints").iterdir())
        assert "stopped by signal 15" in (folder / "metrics.jsonl").read_text()
