"""Tiny models of story endings, trained once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.shared import made_once
from textgan.stories import StoryEnder
from textgan.train import main

GAMES = {"gan": "story_ending", "mle": "mle_story"}


def _play(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textgan.experiment.build_report", lambda folders: "")  # a third of the time, and no test's here
        main([GAMES[folder.name], "--tiny", "--data.limit", "400", "--evaluation.samples", "20", "--run", str(folder)])


@pytest.fixture(scope="session")
def made(cache: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """One of the two runs; while another process plays it, this one plays the other."""
    once = partial(made_once, tmp_path_factory, make=_play)
    return lambda name, other: once(name, meanwhile=lambda: once(other))


@pytest.fixture(scope="session")
def story_run(made: Callable[[str, str], Path]) -> Path:
    """A run of the game with a discriminator. Tests do not change it."""
    return made("gan", "mle")


@pytest.fixture(scope="session")
def likelihood_run(made: Callable[[str, str], Path]) -> Path:
    """A run of the game without one."""
    return made("mle", "gan")


@pytest.fixture(scope="session")
def ender(story_run: Path) -> StoryEnder:
    return StoryEnder.from_pretrained(story_run)


@pytest.fixture(scope="session")
def likelihood_ender(likelihood_run: Path) -> StoryEnder:
    return StoryEnder.from_pretrained(likelihood_run)
