from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from textgan.errors import UserError
from textgan.run import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "runs" / "one")


def test_a_new_run_has_room_for_samples_and_checkpoints(run: Run) -> None:
    assert {path.name for path in run.folder.iterdir()} == {"samples", "checkpoints"}


def test_an_empty_folder_can_be_taken(tmp_path: Path) -> None:
    assert Run.create(tmp_path).folder == tmp_path


@pytest.mark.parametrize(("file", "why"), [("config.yaml", "a run; add --resume"), (".hidden", "other files; choose")])
def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, file: str, why: str) -> None:
    (tmp_path / file).write_text("mine")
    with pytest.raises(UserError, match=f"already holds {why}"):
        Run.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert (tmp_path / file).read_text() == "mine"


def test_options_come_back_as_they_went(run: Run) -> None:
    config = {"name": "seqgan", "corpus": "Bücher.txt", "game": {"widths": [1, 2], "pool": None, "rate": 1e-4}}
    run.write_config(config)
    assert Run.open(run.folder).config() == config


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xff", "cannot be read"),
        (b"a: [", "cannot be read"),
        (b"- a", "names no game"),
        (b"seed: 1", "names no game"),
    ],
)
def test_a_spoiled_config_is_a_users_error(run: Run, content: bytes, why: str) -> None:
    run.config_file.write_bytes(content)
    with pytest.raises(UserError, match=rf"config\.yaml .*{why}"):
        run.config()


def test_a_folder_without_a_config_is_no_run(run: Run) -> None:
    with pytest.raises(UserError, match=r"one is not a run folder: it has no config\.yaml"):
        Run.open(run.folder)
    with pytest.raises(UserError, match=r"two is not a run folder: there is no such folder"):
        Run.open(run.folder.with_name("two"))


def logged(run: Run, *steps: int) -> list[dict[str, Any]]:
    written = [{"kind": "event", "step": step, "message": "Grüße"} for step in steps]
    for record in written:
        run.log(record)
    return written


def test_records_come_back_in_order_and_one_cut_short_is_passed_over(run: Run) -> None:
    written = logged(run, 1, 2, 2)
    with run.metrics_file.open("ab") as file:
        file.write('{"kind": "event", "message": "Grü'.encode()[:-1])
    assert run.records() == written


def test_a_resumed_run_forgets_the_steps_it_will_make_again(run: Run) -> None:
    first, second, _ = logged(run, 1, 2, 3)
    with run.metrics_file.open("a") as file:
        file.write('{"kind": "ev')
    run.forget_after(2)
    assert [json.loads(line) for line in run.metrics_file.read_text().splitlines()] == [first, second]


def test_samples_are_a_sentence_a_line(run: Run) -> None:
    run.write_samples(17, ["the cat", "", "größer"])
    assert (run.samples_folder / "17.txt").read_text(encoding="utf-8") == "the cat\n\ngrößer\n"


def test_weights_come_back_whatever_their_layout_in_memory(run: Run) -> None:
    weight = torch.arange(24.0).view(2, 3, 2, 2)
    given = {"plain": weight, "channels last": weight.to(memory_format=torch.channels_last), "part": weight[1]}
    run.write_model(given)
    found = load_file(run.model_file)
    assert found.keys() == given.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in given.items())


def test_a_run_that_came_to_nothing_is_discarded_but_not_one_with_a_checkpoint(tmp_path: Path) -> None:
    kept, gone = Run.create(tmp_path / "kept"), Run.create(tmp_path / "gone")
    (kept.checkpoints_folder / "1").mkdir()
    for run in (kept, gone):
        run.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
