"""Two processes on this machine play as one does; when one is lost the other ends; another number goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.command_lines.calls import records, start, wait_for_step
from tests.processes.peers import learned
from tests.shared import made_once
from tests.toys import assert_bitwise_equal
from textgan import registry
from textgan.train import main as train

GAMES = ("seqgan", "relgan", "story_ending", "wgan_gp")
TWO = ["--trainer.devices", "2", "--trainer.device", "cpu"]


def play_with_a_peer(folder: Path, names: list[str]) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.processes.peers", str(folder), *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr


def assert_as_one_process(folder: Path, name: str) -> None:
    assert {rank: (folder / f"{name}.{rank}").read_text() for rank in (0, 1)} == {0: "same", 1: "same"}
    together, alone = torch.load(folder / f"{name}.pt"), learned(name)
    assert together.keys() == alone.keys()
    for key, value in alone.items():
        torch.testing.assert_close(together[key], value, rtol=0, atol=1e-12, msg=lambda said, key=key: f"{key}: {said}")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def play(folder: Path) -> None:
        folder.mkdir()
        play_with_a_peer(folder, list(GAMES))

    return made_once(tmp_path_factory, "peers", play)


@pytest.mark.parametrize("name", GAMES)
def test_two_processes_learn_what_one_learns_in_two_shards(name: str, played: Path) -> None:
    assert_as_one_process(played, name)


@pytest.mark.slow
def test_that_holds_for_every_game(tmp_path: Path) -> None:
    names = registry.names()
    play_with_a_peer(tmp_path, list(names))
    for name in names:
        assert_as_one_process(tmp_path, name)


class TestCommand:
    @pytest.fixture
    def options(self, tiny_options: list[str]) -> list[str]:
        housekeeping = ["--trainer.log-every", "1", "--trainer.checkpoint-every", "0"]
        return [*tiny_options, "--trainer.shards", "2", *housekeeping]

    @pytest.mark.slow  # the one that is killed below is held against one process too
    def test_two_processes_write_one_run_which_one_process_writes_too(self, options: list[str], tmp_path: Path) -> None:
        runs = {"two": [*options, *TWO], "one": options}
        for name, line in runs.items():
            process = start("textgan.train", *line, "--run", tmp_path / name)
            err = process.communicate()[1]
            assert process.returncode == 0, err
            assert err.count("done: ") == 1
        two, one = (load_file(tmp_path / name / "model.safetensors") for name in runs)
        assert_bitwise_equal(two, one)
        told = [[{k: v for k, v in r.items() if k != "seconds"} for r in records(tmp_path / name)] for name in runs]
        assert told[0] == told[1]

    def test_when_one_is_killed_the_other_ends_and_one_goes_on(
        self, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = tmp_path / "run"
        process = start("textgan.train", *options, *TWO, "--run", run)
        wait_for_step(process, run, 3)
        child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
        os.kill(child, signal.SIGKILL)
        err = process.communicate(timeout=120)[1]  # it does not hang
        assert process.returncode == 1, err
        assert "has lost another; --resume goes on from the last checkpoint" in err
        assert "Traceback" not in err
        monkeypatch.setattr("textgan.experiment.build_report", lambda folders: "")  # most of a short run's time
        train([*options, "--run", str(run), "--resume", "--trainer.devices", "1"])  # in this process
        train([*options, "--run", str(tmp_path / "whole")])
        assert_bitwise_equal(*(load_file(folder / "model.safetensors") for folder in (run, tmp_path / "whole")))

    @pytest.mark.slow
    def test_a_signal_to_the_first_stops_both_and_two_go_on(self, options: list[str], tmp_path: Path) -> None:
        run = tmp_path / "run"
        process = start("textgan.train", *options, *TWO, "--run", run)
        wait_for_step(process, run, 3)
        process.send_signal(signal.SIGTERM)
        err = process.communicate()[1]
        assert process.returncode == 143, err
        assert err.splitlines()[-1].startswith("stopped by SIGTERM; go on with: ")
        resumed = start("textgan.train", *options, *TWO, "--run", run, "--resume")
        err = resumed.communicate()[1]
        assert resumed.returncode == 0, err
        last = [record for record in records(run) if record["kind"] == "event"][-1]
        assert last["message"] == "finished"
        steps = [json.dumps([r["step"], r["player"]]) for r in records(run) if r["kind"] == "loss"]
        assert len(steps) == len(set(steps))

    def test_a_users_error_is_told_once(self, options: list[str], tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "other.txt").write_text("mine")
        process = start("textgan.train", *options, *TWO, "--run", tmp_path / "run")
        out, err = process.communicate()
        assert (process.returncode, out) == (2, "")
        assert err.count("textgan: error: ") == 1
        assert "already holds other files" in err
