"""The script that profiles a round: its command line and its table."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import load_script
from textgan.errors import UserError
from textgan.floors import Cost, Speeds
from textgan.profiling import DECODE, InnerPart, StepProfile


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("profile_step")


def test_the_table_has_shares_rates_and_floors(script: ModuleType) -> None:
    parts = {"batch": 0.001, "loss": 0.1, "backward": 0.05, "optimizer": 0.02, "rest": 0.029}
    inner = (InnerPart(DECODE, 0.05, Cost(1e9, 0)),)
    cost = Cost(1e9, 4e6)
    moves = [
        StepProfile("game", "fill", 1 / 8, 0.8, {}, 0, "", 10**8, Cost()),
        StepProfile("game", "a: loss", 2.0, 0.2, parts, 100, "tokens", 2 * 10**8, cost, inner),
    ]
    lines = list(script.table(moves, Speeds(flops=100e9, moved=1e9)))
    assert lines[0] == "large matrix product 100.0 GFLOP/s, copy 1.0 GB/s"
    assert lines[2] == "game: 0.500 s a round"
    assert [line.split() for line in lines[4:]] == [
        ["fill", "1/8", "20.0%", "800.00", "100", "0.00", "0.0", "0.000", "0.0%"],
        ["a:", "loss", "2", "80.0%", "200.00", "1.00", "100.00", "50.00", "20.00", "29.00", "500", "tokens", "200",
         "1.00", "4.0", "10.000", "5.0%"],
        ["decode", "of", "roll-outs", "20.0%", "50.00", "1.00", "0.0", "10.000", "20.0%"],
    ]  # fmt: skip
    assert len({len(line) for line in lines[3:]}) == 1, "the columns are in line"


def test_any_game_is_profiled_with_the_options_of_training(
    script: ModuleType, cache: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "measured_speeds", lambda device, dtypes: Speeds(1e9, 1e9))
    trace = tmp_path / "trace.json"
    options = ["--steps", "1", "--game.batch-size", "8", "--trace", str(trace), "--data.limit", "100"]
    script.main(["gan", "--tiny", *options])
    out = capsys.readouterr().out
    assert out.startswith("gan on digits, batches of 8; cpu, 1 threads, fp32, torch ")
    assert "adversarial: " in out
    assert f"a round of adversarial is in {trace}" in out
    assert trace.stat().st_size


def test_complaints_are_of_one_line(script: ModuleType, tmp_path: Path) -> None:
    for args, message in (
        ([], "the first argument must be the name of a game"),
        (["gan", "--steps", "0"], "steps"),
        (["gan", "--tiny", "--gme.rounds", "1"], "there is no option --gme.rounds"),
        (["gan", "--trace", str(tmp_path)], "--trace .* cannot be written: it is a folder"),
    ):
        with pytest.raises(UserError, match=message):
            script.main(args)


def test_help_needs_no_game(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    script.main(["--help"])
    assert "--trace FILE" in capsys.readouterr().out
