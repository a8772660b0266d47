"""The cache: made once, found again, rebuilt when spoiled, safe for two processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from textgan.data.cache import MANIFEST, cache_root, cached, is_sound
from textgan.errors import UserError


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEXTGAN_CACHE", str(tmp_path))
    return tmp_path


class Maker:
    calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "data").write_text("content")


def test_the_same_identity_is_made_once() -> None:
    make = Maker()
    assert cached(["a", 1], make) == cached(["a", 1], make)
    assert make.calls == 1
    assert cached(["a", 2], make) != cached(["a", 1], make)
    assert make.calls == 2


def spoil_content(folder: Path) -> None:
    (folder / "data").write_text("contenu")


def lose_content(folder: Path) -> None:
    (folder / "data").unlink()


def spoil_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text("[]")


@pytest.mark.parametrize("spoil", [spoil_content, lose_content, spoil_manifest])
def test_a_spoiled_folder_is_made_again(spoil: object) -> None:
    make = Maker()
    folder = cached("x", make)
    spoil(folder)
    assert not is_sound(folder)
    assert (cached("x", make) / "data").read_text() == "content"
    assert make.calls == 2


def test_a_failure_leaves_nothing_behind(root: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        cached("x", fail)
    assert list((root / "corpora").iterdir()) == []


def test_a_second_maker_that_comes_late_takes_what_is_there(root: Path) -> None:
    make = Maker()

    def slow(folder: Path) -> None:
        (folder / "data").write_text("content")
        cached("x", make)  # the other process, quicker

    assert is_sound(cached("x", slow))
    assert make.calls == 1
    assert len(list((root / "corpora").iterdir())) == 1


def test_processes_at_once_agree(root: Path) -> None:
    program = (
        "import sys; from textgan.data import open_corpus\n"
        "corpus = open_corpus(sys.argv[1]); print(corpus.tokenizer.signature, len(corpus.train))"
    )
    path = root / "a.txt"
    path.write_text("\n".join(" ".join(f"{i:03}") for i in range(300)))
    command = [sys.executable, "-c", program, str(path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert outputs[0] == outputs[1] != ""
    assert len(list((root / "corpora").iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "file").write_text("")
    monkeypatch.setenv("TEXTGAN_CACHE", str(root / "file"))
    with pytest.raises(UserError, match=r"cannot be written .*: set TEXTGAN_CACHE"):
        cached("x", Maker())


def test_the_users_cache_folder_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEXTGAN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/some/where")
    assert cache_root() == Path("/some/where/textgan")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == Path.home() / ".cache" / "textgan"
