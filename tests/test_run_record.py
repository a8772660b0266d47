"""Reading a run: stages, ends and samples follow from the records."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from textgan.run_record import Span, number, pairs, read_lines, read_run


def _record(kind: str, stage: str, step: int, **what: Any) -> dict[str, Any]:
    return {"kind": kind, "stage": stage, "step": step, **what}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records = [
        _record("event", "", 0, message="started"),
        _record("loss", "one", 4),
        _record("metrics", "one", 6, scores={}),
        _record("test", "one", 6, scores={}),
        _record("sweep", "one", 6, temperature=1.0, scores={}),
        _record("sweep", "one", 6, temperature=0.5, scores={}),
        _record("loss", "two", 9),
        _record("metrics", "two", 8, scores={}),
        _record("event", "", 9, message="finished"),
    ]
    (tmp_path / "config.yaml").write_text("name: seqgan\n")
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return tmp_path


def test_stages_follow_each_other(folder: Path) -> None:
    assert read_run(folder).stages == [Span("one", 0, 6), Span("two", 6, 9)]


def test_a_step_belongs_to_the_stage_that_made_it(folder: Path) -> None:
    run = read_run(folder)
    assert [run.stage_of(step) for step in (0, 6, 7, 9, 99)] == ["one", "one", "two", "two", "two"]


def test_test_scores_end_a_stage_and_measurements_stand_in(folder: Path) -> None:
    assert {stage: record["kind"] for stage, record in read_run(folder).ends.items()} == {
        "one": "test",
        "two": "metrics",
    }


def test_a_sweep_begins_with_the_coldest(folder: Path) -> None:
    run = read_run(folder)
    assert list(run.sweep("one")) == [0.5, 1.0]
    assert run.sweep("two") == {}


def test_lines_that_are_no_record_are_numbered(folder: Path) -> None:
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('12\n{"kind": "loss"}\n{"ki')
    run = read_run(folder)
    assert len(run.records) == 9
    assert run.unreadable == [10, 11, 12]


def test_a_run_is_read_before_anything_was_logged(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("name: seqgan\n")
    run = read_run(tmp_path, "mine")
    assert (run.label, run.records, run.stages, run.stage_of(3)) == ("mine", [], [], "")


def test_only_a_line_feed_ends_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "samples.txt"
    file.write_text("a\u2028b\n\nc\n", encoding="utf-8")
    assert read_lines(file) == ["a\u2028b", "", "c"]
    assert read_lines(tmp_path / "none.txt") == []


def test_pairs_are_those_of_records_with_both() -> None:
    both = {"scores": {"x": {"value": 1}, "y": {"value": None}}}
    found = pairs([both, {"scores": {"x": {"value": 1.0}}}], "x", "y")
    assert len(found) == 1
    assert found[0][0] == 1.0
    assert math.isnan(found[0][1])


def test_null_is_not_a_number() -> None:
    assert math.isnan(number(None))
    assert number(2) == 2.0
