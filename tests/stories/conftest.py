"""Tiny models of story endings, trained once."""

from __future__ import annotations

from pathlib import Path

import pytest

from textgan.stories import StoryEnder
from textgan.train import main


@pytest.fixture(scope="session")
def story_run(cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the game with a discriminator. Tests do not change it."""
    folder = tmp_path_factory.mktemp("stories") / "gan"
    main(["story_ending", "--tiny", "--data.limit", "400", "--evaluation.samples", "20", "--run", str(folder)])
    return folder


@pytest.fixture(scope="session")
def likelihood_run(cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the game without one."""
    folder = tmp_path_factory.mktemp("stories") / "mle"
    main(["mle_story", "--tiny", "--data.limit", "400", "--evaluation.samples", "20", "--run", str(folder)])
    return folder


@pytest.fixture(scope="session")
def ender(story_run: Path) -> StoryEnder:
    return StoryEnder.from_pretrained(story_run)


@pytest.fixture(scope="session")
def likelihood_ender(likelihood_run: Path) -> StoryEnder:
    return StoryEnder.from_pretrained(likelihood_run)
