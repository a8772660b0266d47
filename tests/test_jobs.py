"""Training runs as processes: what is read off a system's name, the order, what fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from textgan.jobs import Job, check_done, parts_of, play, put


def test_a_system_may_have_a_label_and_switches() -> None:
    assert parts_of("seqgan") == ("seqgan", "seqgan", [])
    assert parts_of("seqgan+reward=constant") == ("seqgan+reward=constant", "seqgan", ["reward=constant"])
    assert parts_of("warm:cot+a.b=1+generator.kind=hf:X") == ("warm", "cot", ["a.b=1", "generator.kind=hf:X"])


def test_an_option_is_put_where_none_is_yet() -> None:
    options: dict[str, Any] = {"a": {"b": 1}}
    for field, value in [("a.b", "2"), ("a.c", "true"), ("d.e", "[1, 2]"), ("f", 0.5)]:
        put(options, field, value)
    assert options == {"a": {"b": 1, "c": True}, "d": {"e": [1, 2]}, "f": 0.5}


def job(folder: Path, name: str, *flags: str, needs: Path | None = None) -> Job:
    few = ["--tiny", "--evaluation.samples", "20", "--evaluation.temperatures", "1"]
    return Job("c", name, 0, [name, *few, "--run", str(folder / f"{name}-0"), *flags], folder / f"{name}-0", needs)


def test_a_run_waits_for_the_one_it_starts_from_and_is_made_once(tmp_path: Path, corpus_file: Path, capsys) -> None:
    corpus = ["--corpus", str(corpus_file)]
    first = job(tmp_path, "mle", *corpus)
    second = job(tmp_path, "seqgan", *corpus, "--init", str(first.folder), needs=first.folder)
    assert play([second, first], 2) == []
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["1/2", "2/2"]
    assert "mle-0" in lines[0]
    assert play([first, second], 2) == []
    assert capsys.readouterr().out == ""


def test_what_fails_is_named_and_so_is_what_waited_for_it(tmp_path: Path) -> None:
    first = job(tmp_path, "mle", "--corpus", str(tmp_path / "nothing.txt"))
    second = job(tmp_path, "seqgan", needs=first.folder)
    failed = play([first, second], 1)
    assert failed == [first, second]
    with pytest.raises(SystemExit, match=r"failed: .*mle-0, .*seqgan-0; see the \.log beside each"):
        check_done(failed)
    check_done([])
