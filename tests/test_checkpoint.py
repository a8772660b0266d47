from __future__ import annotations

import json
import os
import warnings

import pytest
import torch

from textgan.checkpoint import CheckpointStore, CheckpointWarning, write_atomically
from textgan.errors import UserError


def _store(folder, steps=(1, 2, 3), keep=3):
    store = CheckpointStore(folder, keep)
    for step in steps:
        store.save(step, {"weights": torch.full((1000,), float(step)), "note": f"step {step}"})
    return store


def test_the_newest_checkpoint_comes_back_as_it_was_saved(tmp_path):
    step, state = _store(tmp_path).load()
    assert step == 3
    assert state["note"] == "step 3"
    assert torch.equal(state["weights"], torch.full((1000,), 3.0))


def test_the_last_k_and_the_best_are_kept(tmp_path):
    store = _store(tmp_path, steps=(), keep=2)
    for step in range(1, 8):
        store.save(step, {}, best={"metric": "loss", "value": 0.5} if step == 3 else None)
    assert store.steps() == [3, 6, 7]
    assert store.best == {"step": 3, "metric": "loss", "value": 0.5}


@pytest.mark.parametrize("bit", [0, 8 * 700 + 3, -1])
def test_one_flipped_bit_is_found_and_the_checkpoint_before_is_used(tmp_path, bit):
    store = _store(tmp_path)
    path = tmp_path / "3" / "state.pt"
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(content)
    with pytest.warns(CheckpointWarning, match=r"3/state\.pt does not have the SHA-256 .* trying the one before"):
        step, _ = store.load()
    assert step == 2


def test_a_truncated_file_is_found(tmp_path):
    store = _store(tmp_path)
    path = tmp_path / "3" / "state.pt"
    os.truncate(path, path.stat().st_size - 1)
    with pytest.warns(CheckpointWarning, match=r"3/state\.pt has \d+ bytes, not \d+: it is truncated"):
        assert store.load()[0] == 2


@pytest.mark.parametrize("spoil", ["state.pt", "manifest.json"])
def test_a_missing_file_is_found(tmp_path, spoil):
    store = _store(tmp_path)
    (tmp_path / "3" / spoil).unlink()
    with pytest.warns(CheckpointWarning, match=spoil):
        assert store.load()[0] == 2


def test_no_whole_checkpoint_is_an_error_and_none_at_all_is_not(tmp_path):
    assert CheckpointStore(tmp_path / "none").load() is None
    store = _store(tmp_path, steps=(1,))
    os.truncate(tmp_path / "1" / "state.pt", 10)
    with pytest.warns(CheckpointWarning), pytest.raises(UserError, match="none of the 1 checkpoints"):
        store.load()


def test_a_spoiled_checkpoint_is_replaced_when_its_step_is_reached_again(tmp_path):
    store = _store(tmp_path)
    os.truncate(tmp_path / "3" / "state.pt", 10)
    store.save(3, {"note": "again"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.load() == (3, {"note": "again"})


def test_a_killed_writer_leaves_nothing_that_counts_and_the_next_one_tidies_up(tmp_path):
    store = _store(tmp_path, steps=(1,))
    (tmp_path / ".draft-2-123").mkdir()
    (tmp_path / ".draft-2-123" / "state.pt").write_bytes(b"half")
    assert store.steps() == [1]
    assert store.load()[0] == 1
    store.save(2, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_a_checkpoint_that_cannot_be_written_is_an_error_and_spoils_nothing(tmp_path, monkeypatch):
    store = _store(tmp_path, steps=(1,))

    def full(*_):
        raise RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match=r"2 cannot be written: .*failed writing"):
        store.save(2, {})
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_the_manifest_names_every_file_with_its_size_and_sum(tmp_path):
    _store(tmp_path, steps=(5,))
    manifest = json.loads((tmp_path / "5" / "manifest.json").read_text())
    assert manifest["step"] == 5
    assert manifest["files"]["state.pt"]["bytes"] == (tmp_path / "5" / "state.pt").stat().st_size
    assert len(manifest["files"]["state.pt"]["sha256"]) == 64


def test_nothing_but_plain_data_is_unpickled(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.system, ("true",))

    store = _store(tmp_path, steps=())
    store.save(1, {"evil": Evil()})
    with pytest.raises(Exception, match=r"weights_only|Unsupported|WeightsUnpickler"):
        store.load()


def test_a_text_file_is_written_whole(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "one")
    write_atomically(path, "two")
    assert path.read_text() == "two"
    assert list(tmp_path.iterdir()) == [path]
