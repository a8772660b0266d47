"""The story world's face: stories with right and wrong endings, and a verdict on any ending."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textgan.data.story_world.checking import Reader
from textgan.data.story_world.rules import Facts, Plot, Rules
from textgan.data.story_world.telling import Teller
from textgan.errors import UserError

PATIENCE = 1000
"""So many stories in a row that were told before mean that the world has hardly any others."""


@dataclass(frozen=True)
class WrongEnding:
    """An ending that contradicts its story."""

    text: str
    reason: str
    """What it gets wrong, as `Verdict.reason`."""


@dataclass(frozen=True)
class WorldStory:
    """Four sentences, an ending that is true, and endings that are not, each for another reason."""

    sentences: tuple[str, str, str, str]
    ending: str
    wrong: tuple[WrongEnding, ...]


@dataclass(frozen=True)
class Verdict:
    """Whether an ending is consistent with its story."""

    consistent: bool
    reason: str
    """Empty if consistent. ``unparsed``: not an ending of this world; ``plot``: one of another kind of story;
    ``person``, one of the card's kinds of things (``possession``, ``object``, ``place``, ``event``), ``outcome``,
    ``mood``: the first of these that is wrong."""


class StoryWorld:
    """The world of a card's rules. Raises UserError for rules that are missing or do not fit together."""

    def __init__(self, rules: Mapping[str, Any]) -> None:
        self._rules = Rules(rules)
        self._reader = Reader(self._rules)

    def stories(self, n: int, seed: int) -> list[WorldStory]:
        """`n` stories, no two with the same sentences and ending. The same for the same seed on every machine.

        Raises UserError for n < 1, or if the world has not that many.
        """
        return list(self.tell(n, seed))

    def tell(self, n: int, seed: int) -> Iterator[WorldStory]:
        """Those stories one after the other, each told when it is asked for."""
        if n < 1:
            raise UserError(f"the number of stories is {n}; it must be at least 1")
        teller = Teller(self._rules, seed)
        told: set[tuple[tuple[str, ...], str]] = set()
        repeats = 0
        while len(told) < n:
            state = teller.state()
            one, two, three, four = teller.sentences(state)
            ending = teller.ending(state, teller.shape(state.plot))
            wrong = tuple(WrongEnding(text, reason) for text, reason in teller.wrong(state))
            story = WorldStory((one, two, three, four), ending, wrong)
            repeats = repeats + 1 if (story.sentences, ending) in told else 0
            if repeats > PATIENCE:
                raise UserError(f"{n} different stories are asked for, but this world has only about {len(told)}")
            if not repeats:
                told.add((story.sentences, ending))
                yield story

    def check(self, sentences: Sequence[str], ending: str) -> Verdict:
        """Whether the ending is consistent with the four sentences; decided from the text alone.

        Case, spacing and the final stop do not matter. Raises UserError if the sentences are no story of this world.
        """
        plot, facts = self._reader.facts(sentences)
        claimed = self._reader.claims(ending)
        if not claimed:
            return Verdict(False, "unparsed")
        reasons = [self._mistake(plot, facts, claims) for its_plot, claims in claimed if its_plot is plot]
        if not reasons:
            return Verdict(False, "plot")
        return Verdict("" in reasons, "" if "" in reasons else reasons[0])

    def _mistake(self, plot: Plot, facts: Facts, claims: Facts) -> str:
        """The first reason, in the order of the rules, for which the claims are wrong. Empty: they are true."""
        wrong = {self._rules.reason(plot, variable) for variable, value in claims.items() if facts[variable] != value}
        return next((reason for reason in self._rules.reasons if reason in wrong), "")
