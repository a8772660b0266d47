"""What README's two lines of Python give. By hand: minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from textgan.data.stories import open_stories
from textgan.stories import StoryEnder
from textgan.stories.table import cloze_table


@pytest.mark.slow
def test_the_defaults_learn_the_story_world(tmp_path: Path) -> None:
    """Endings follow from their context far more often than by chance (1%), and the right one is chosen."""
    ender = StoryEnder.train(run=tmp_path / "run")
    corpus = open_stories("story_world")
    assert corpus.check is not None
    stories = corpus.test.stories(500)
    endings = ender([story.sentences for story in stories], temperature=0.8, seed=0)
    held = [corpus.check(story.sentences, str(e)).consistent for story, e in zip(stories, endings, strict=True)]
    assert sum(held) / len(held) > 0.4
    chosen = {name: score.value for name, score in cloze_table({"model": ender}, corpus.cloze).items()}
    for by in ("discriminator", "likelihood"):
        assert chosen[f"model: {by}"] > chosen[f"model: {by}, ending only"] + 0.08
        assert chosen[f"model: {by}, ending only"] == pytest.approx(0.5, abs=0.06)
