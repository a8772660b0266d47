from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from textgan import registry
from textgan.model_card import CONTROLS, model_card
from textgan.run import Run


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
    table = {cells[1].strip(): cells[2:-1] for row in rows if (cells := row.split("|"))}
    stages = ["pretrain_generator", "pretrain_discriminator", "adversarial"]
    assert list(table) == ["real, held out", "random words", *(f"after {stage}" for stage in stages)]
    for record in run.records():
        if record["kind"] in ("control", "test"):
            title = CONTROLS[record["name"]] if record["kind"] == "control" else f"after {record['stage']}"
            shown = dict(zip(columns, table[title], strict=True))
            for name, cell in shown.items():
                expected = f"{record['scores'][name]['value']:.3f}" if name in record["scores"] else "-"
                assert cell.strip() == expected
            if record["kind"] == "test":
                last = record
    assert f"- bleu-4: `{last['scores']['bleu-4']['signature']}`" in card


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
    rows = [line for line in model_card(run, registry.find("seqgan")).splitlines() if "| after adversarial |" in line]
    assert len(rows) == 1
    assert "| 0.125 |" in rows[0]
