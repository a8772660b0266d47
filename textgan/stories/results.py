"""What a `StoryEnder` answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ending:
    """An ending and what the model thinks of it. ``str(ending)`` is the text."""

    text: str
    log_prob: float
    """log p(ending | context) in nats under the generator at temperature 1, the end mark included."""
    score: float | None
    """The discriminator's probability that a person wrote it. None: the model has no discriminator."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Choice:
    """The ending of a story that was chosen among several."""

    index: int
    """Its place among those offered, from 0."""
    ending: str
    scores: tuple[float, ...]
    """Of all that were offered; the chosen one's is the largest."""
    by: str
    """What the scores are: see `StoryEnder.score`."""


@dataclass(frozen=True)
class Credit:
    """What one token of an ending is worth."""

    token: str
    reward: float
    """What writing it changed: the roll-outs' mean score with it in the prefix less that without it."""
    occlusion: float
    """The ending's score less its score with this token unknown."""


@dataclass(frozen=True)
class Explanation:
    """Why an ending has its score. The credits' rewards sum to ``score - start``."""

    ending: str
    score: float
    """The discriminator's probability that a person wrote the ending."""
    start: float
    """Mean score of endings that the generator writes from nothing: the value of the empty prefix."""
    credits: tuple[Credit, ...]
    """One a token, in order; the last is the end mark's."""
