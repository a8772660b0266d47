"""A collapse of SeqGAN, provoked, with and without the watch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

import textgan
from tests.toys import assert_bitwise_equal
from textgan.collapse import Collapsed
from textgan.train import main


class TestSeqGAN:
    """Played at a hundred times its rate and without a baseline, on sentences of which none comes twice."""

    LIMIT = 0.5
    """Of the share of different sentences; it is 1 in the data."""

    @pytest.fixture
    def play(self, corpus_file: Path, tmp_path: Path) -> Any:
        options = (
            f"seqgan --tiny --corpus {corpus_file} --seed 2 --game.pretraining.epochs 25 "
            "--game.pretraining.learning-rate 0.01 --game.rounds 9 --game.learning-rate 0.1 --game.baseline none "
            "--trainer.evaluations 9 --evaluation.samples 100 --evaluation.final-samples 50 "
            "--evaluation.temperatures 1"
        )

        def play(name: str, *more: object) -> tuple[int, list[dict[str, Any]]]:
            status = 0
            try:
                main([*options.split(), "--run", str(tmp_path / name), *map(str, more)])
            except SystemExit as stop:
                status = int(stop.code or 0)
            return status, [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]

        return play

    @staticmethod
    def unique(records: list[dict[str, Any]]) -> dict[int, float]:
        measured = [record for record in records if record["kind"] == "metrics"]
        return {record["step"]: record["scores"]["unique"]["value"] for record in measured}

    def test_collapses_without_the_watch_and_not_with_it(self, play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("textgan.experiment.build_report", lambda folders: "")  # most of a short run's time
        status, records = play("warned", "--trainer.collapse.action", "warn")
        assert status == 0
        warned = self.unique(records)
        assert max(list(warned.values())[-5:]) < self.LIMIT
        assert not [record for record in records if "rollbacks" in record]

        status, records = play("recovered")
        recovered = self.unique(records)
        first = next(record for record in records if "rollbacks" in record)["step"]
        until_then = [step for step in recovered if step < first]
        assert [recovered[step] for step in until_then] == [warned[step] for step in until_then]
        assert status == 0 or [r for r in records if r["kind"] == "event"][-1]["message"].startswith("stopped: ")
        assert list(recovered.values())[-1] > self.LIMIT

    def test_stops_with_the_reason_and_leaves_a_model_that_works(
        self, play: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        status, records = play("run", "--trainer.collapse.rollbacks", 0)
        assert status == Collapsed.status == 3
        event = [record for record in records if record["kind"] == "event"][-1]
        assert event["message"].startswith("stopped: ")
        reason = event["message"].removeprefix("stopped: ")
        assert "rollbacks before: 0; the networks of step " in reason
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith(f"textgan: stopped: {reason}; ")

        run = tmp_path / "run"
        assert len(set(textgan.load(run).sample(100, seed=0))) > 100 * self.LIMIT
        assert reason.partition(";")[0] in (run / "report.html").read_text()
        assert reason in (run / "README.md").read_text()
        assert {"test", "sweep"} == {record["kind"] for record in records[-2:]}  # of what is kept

        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        weights_before = load_file(run / "model.safetensors")
        assert play("run", "--trainer.collapse.rollbacks", 0, "--resume") == (3, records)
        assert capsys.readouterr().err.splitlines()[-1] == line
        assert_bitwise_equal(load_file(run / "model.safetensors"), weights_before)
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
