from __future__ import annotations

import io
import sys

import pytest

from textgan import progress
from textgan.progress import Progress


class Screen(io.StringIO):
    """A file or a terminal."""

    def __init__(self, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


class Clock:
    """Stands where it is put."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_off_a_terminal_a_line_comes_every_so_many_seconds(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with Progress(2000, done=998, line_seconds=10.0) as shown:
        shown.values({"nll": 1.23456, "accuracy": 0.5})
        clock.now = 9
        shown.advance("adversarial 1/40")
        assert screen.getvalue() == ""
        clock.now = 10
        shown.advance("adversarial 2/40")
        clock.now = 19
        shown.advance("adversarial 3/40")
    assert screen.getvalue() == " 50.0%  step 1,000/2,000      10 s  adversarial 2/40  nll=1.23 accuracy=0.5\n"


def test_off_a_terminal_notes_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with Progress(2) as shown:
        shown.note("collapse watch: look")
    assert screen.getvalue() == "collapse watch: look\n"


def test_a_plan_without_steps_can_be_shown(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with Progress(0, line_seconds=0.0) as shown:
        shown.advance("nowhere")
    assert screen.getvalue().startswith("100.0%  step 1/0")


def test_on_a_terminal_there_is_a_bar_from_where_play_stands_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen(terminal=True))
    with Progress(4, done=2) as shown:
        shown.values({"nll": 2.0})
        shown.note("this stays")
        for _ in range(2):
            shown.advance("likelihood 2/2")
    text = screen.getvalue()
    assert "2/4" in text
    assert "4/4" in text
    assert "likelihood 2/2" in text
    assert "nll=2" in text
    assert "this stays\n" in text
