"""From states of the world to text: drawing a state, changing one fact of it, saying it.

An ending's *shape*, which form of the plot in which frame, is drawn without regard to the state, and every change of a
state keeps the distribution of states (two people or things change places, or a value becomes one of the others with
equal chances). So the ending of a changed state is distributed exactly like an ending of a drawn one, and nothing but
the four sentences tells right from wrong.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from textgan.data.story_world.rules import MOOD, OUTCOME, PERSON, SLOT, Facts, Plot, Rules

Option = TypeVar("Option")


@dataclass(frozen=True)
class State:
    """All that is true in a story."""

    plot: Plot
    happenings: tuple[str, ...]
    """What happens in each of the four sentences."""
    facts: Facts


@dataclass(frozen=True)
class Shape:
    """Which of the plot's endings, in which of the frames."""

    ending: int
    frame: str


class Teller:
    """Tells stories. All chance comes from one seeded generator, in the same way on every machine."""

    def __init__(self, rules: Rules, seed: int) -> None:
        self._rules = rules
        self._random = random.Random(seed)
        self._shown = {
            (plot.name, shape := Shape(ending, frame)): shows(rules, plot, shape)
            for plot in rules.plots.values()
            for ending in range(len(plot.endings[plot.fates[0].outcome]))
            for frame in rules.frames
        }
        self._fewest = {
            name: min(len(reasons) for (plot, _), reasons in self._shown.items() if plot == name)
            for name in rules.plots
        }

    def state(self) -> State:
        """A state: plot, people, roles and fate uniform and independent; happenings uniform among those of the fate."""
        plot = self._pick(list(self._rules.plots.values()))
        genders = list(self._rules.names)
        if self._random.random() < 0.5:
            genders.reverse()
        hero, friend = (self._pick(self._rules.names[gender]) for gender in genders)
        facts: Facts = {"hero": hero, "friend": friend, "gender": genders[0]}
        for role, drawn_from in plot.roles.items():
            taken = [facts[other] for other in plot.roles if other in facts and plot.roles[other] == drawn_from]
            facts[role] = self._pick([value for value in self._rules.lists[drawn_from] if value not in taken])
        fate = self._pick(plot.fates)
        happenings = self._pick([causes for causes, effect in plot.laws.items() if effect == fate])
        return State(plot, happenings, facts | fate._asdict())

    def sentences(self, state: State) -> tuple[str, ...]:
        """The four sentences. The first calls the hero by name, the others rarely."""
        return tuple(
            self._say(self._pick(happenings[happening]), state.facts, by_name=0.25 if place else 1.0)
            for place, (happenings, happening) in enumerate(zip(state.plot.sentences, state.happenings, strict=True))
        )

    def shape(self, plot: Plot) -> Shape:
        """A shape of the plot's endings, all equally likely."""
        return Shape(self._pick(range(len(plot.endings[plot.fates[0].outcome]))), self._pick(self._rules.frames))

    def ending(self, state: State, shape: Shape) -> str:
        """A true ending of the state, in that shape."""
        core = state.plot.endings[state.facts[OUTCOME]][shape.ending]
        return self._say(shape.frame.replace("{core}", core), state.facts)

    def changed(self, state: State, shape: Shape, reason: str) -> State:
        """A state that differs in one fact, which an ending of that shape shows: a `reason` of `shows`."""
        facts, plot = state.facts, state.plot
        if reason == PERSON:
            gender = self._rules.genders[facts["friend"]]
            return replace(state, facts=facts | {"hero": facts["friend"], "friend": facts["hero"], "gender": gender})
        if reason in (OUTCOME, MOOD):
            same_outcome = reason == MOOD
            others = [fate for fate in plot.fates if fate.mood != facts[MOOD]]
            fate = self._pick([fate for fate in others if (fate.outcome == facts[OUTCOME]) == same_outcome])
            return replace(state, facts=facts | fate._asdict())
        role = self._pick([role for role in plot.named(shape.ending) if self._rules.reason(plot, role) == reason])
        partners = [other for other in plot.roles if other != role and plot.roles[other] == plot.roles[role]]
        if partners:
            partner = self._pick(partners)
            return replace(state, facts=facts | {role: facts[partner], partner: facts[role]})
        values = [value for value in self._rules.lists[plot.roles[role]] if value != facts[role]]
        return replace(state, facts=facts | {role: self._pick(values)})

    def wrong(self, state: State) -> list[tuple[str, str]]:
        """Endings of changed states, each with another reason: as many as every shape of the plot can show."""
        told: dict[str, str] = {}
        for _ in range(self._fewest[state.plot.name]):
            shape = self.shape(state.plot)
            reason = self._pick([one for one in self._shown[state.plot.name, shape] if one not in told])
            told[reason] = self.ending(self.changed(state, shape, reason), shape)
        return [(text, reason) for reason, text in told.items()]

    def _pick(self, options: Sequence[Option]) -> Option:
        # random() is the one method that Python keeps the same between versions.
        return options[int(self._random.random() * len(options))]

    def _say(self, form: str, facts: Facts, by_name: float = 0.5) -> str:
        """The form with its slots filled. `by_name`: how likely the hero is named where a pronoun would do."""
        text = SLOT.sub(lambda match: self._fill(match[1], facts, by_name), form)
        return text[0].upper() + text[1:]

    def _fill(self, slot: str, facts: Facts, by_name: float) -> str:
        pronouns = self._rules.pronouns[facts["gender"]]
        if slot in pronouns:
            return pronouns[slot]
        if slot == "hero" and self._random.random() >= by_name:
            return pronouns["he"]
        if slot == "felt":
            return self._pick(self._rules.felt[facts[MOOD]])
        if slot == "lead":
            return self._pick(self._rules.lead[facts[MOOD]])
        return facts[slot]


def shows(rules: Rules, plot: Plot, shape: Shape) -> list[str]:
    """The reasons for which an ending of that shape can be wrong."""
    shown = {PERSON, OUTCOME} | {rules.reason(plot, role) for role in plot.named(shape.ending)}
    if {"felt", "lead"} & set(SLOT.findall(shape.frame)) and len(plot.fates) > len(rules.moods):
        shown.add(MOOD)
    return [reason for reason in rules.reasons if reason in shown]
