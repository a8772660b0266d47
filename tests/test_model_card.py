from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from textgan import registry
from textgan.model_card import model_card
from textgan.run import Run
from textgan.run_record import CONTROLS, score_text


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(tiny_run, tmp_path / "mine")))


def test_says_what_was_learned_from_what_and_how_to_use_it(tiny_run: Path) -> None:
    card = (tiny_run / "README.md").read_text()
    entry = registry.find("seqgan")
    assert card.startswith(f"# seqgan on animals\n\n{entry.summary}\n")
    assert "180 sentences read" in card
    assert "seed 0" in card
    assert 'textgan.load("tiny").sample(8' in card


def test_has_the_test_scores_of_controls_and_stages_with_their_signatures(run: Run) -> None:
    card = model_card(run, registry.find("seqgan"))
    header, _, *rows = [line for line in card.splitlines() if line.startswith("|")]
    columns = [cell.strip() for cell in header.split("|")[2:-1]]
    table = {cells[1].strip(): [cell.strip() for cell in cells[2:-1]] for row in rows if (cells := row.split("|"))}
    stages = ["pretrain_generator", "pretrain_discriminator", "adversarial"]
    assert columns == ["real, held out", "at random", *(f"after {stage}" for stage in stages)]
    records = [record for record in run.records() if record["kind"] in ("control", "test")]
    assert set(table) == {name for record in records for name in record["scores"]}
    for record in records:
        title = CONTROLS[record["name"]] if record["kind"] == "control" else f"after {record['stage']}"
        for name, cells in table.items():
            expected = score_text(record["scores"][name]["value"]) if name in record["scores"] else "-"
            assert cells[columns.index(title)] == expected
    assert f"- bleu-4: `{records[-1]['scores']['bleu-4']['signature']}`" in card


def test_shows_every_warning_of_collapse(run: Run) -> None:
    kept = "".join(line for line in run.metrics_file.read_text().splitlines(True) if '"kind": "warning"' not in line)
    run.metrics_file.write_text(kept)
    assert "## Collapse watch\n\nNo warning.\n" in model_card(run, registry.find("seqgan"))
    run.log({"kind": "warning", "step": 7, "stage": "adversarial", "round": 1, "seconds": 1.0, "message": "too alike"})
    assert "## Collapse watch\n\n- step 7: too alike\n" in model_card(run, registry.find("seqgan"))
    event = {"kind": "event", "step": 8, "stage": "adversarial", "round": 1, "seconds": 1.0, "message": "rolled back"}
    run.log(event)
    run.log(event | {"rollbacks": 1})
    assert "- step 7: too alike\n- step 8: rolled back\n\n" in model_card(run, registry.find("seqgan"))


def test_a_stage_that_was_measured_again_has_one_row(run: Run) -> None:
    last = [record for record in run.records() if record["kind"] == "test"][-1]
    again = {name: score | {"value": 0.125} for name, score in last["scores"].items()}
    run.log(last | {"scores": again})
    header, _, *rows = [line for line in model_card(run, registry.find("seqgan")).splitlines() if line[:1] == "|"]
    assert header.count("| after adversarial |") == 1
    assert [row for row in rows if row.startswith("| bleu-4 |") and row.endswith("| 0.125 |")]
