"""The rules of a story world, read from its card and checked: people, moods, things, plots.

A *form* is a way to say something, with slots: ``"{hero} bought the {toy}"``. A *fact* is a variable and its value. The
variables are ``hero`` and ``friend`` (names), ``gender`` (the hero's), the roles of the plot (``toy``), ``outcome``
and ``mood``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from textgan.errors import UserError

Facts = dict[str, str]

SENTENCES = 4
SLOT = re.compile(r"\{(\w+)\}")
PRONOUNS = ("he", "him", "his")
PEOPLE = ("hero", "friend", *PRONOUNS)
PERSON, OUTCOME, MOOD = "person", "outcome", "mood"


class Fate(NamedTuple):
    """How a story ends: its outcome, and the mood that follows from what brought it about."""

    outcome: str
    mood: str


@dataclass(frozen=True)
class Plot:
    """One kind of story."""

    name: str
    roles: Mapping[str, str]
    """The list that each role is drawn from."""
    sentences: Sequence[Mapping[str, Sequence[str]]]
    """What may happen in each of the four sentences, and the forms that tell it."""
    laws: Mapping[tuple[str, ...], Fate]
    """The fate that the happenings of the four sentences lead to. Others do not happen together."""
    endings: Mapping[str, Sequence[str]]
    """Forms of each outcome. Those of the same place in the list name the same roles."""

    @property
    def fates(self) -> list[Fate]:
        """Every fate once, in the order of the laws."""
        return list(dict.fromkeys(self.laws.values()))

    def named(self, ending: int) -> list[str]:
        """The roles that the forms of that place in the list name."""
        slots = SLOT.findall(next(iter(self.endings.values()))[ending])
        return [role for role in self.roles if role in slots]


class Rules:
    """A card's rules. Raises UserError, with the place, for rules that are missing or do not fit together."""

    def __init__(self, rules: Mapping[str, Any]) -> None:
        people = _part(rules, "people", "rules")
        if len(people) != 2:
            raise UserError(f"story world people are {', '.join(people)}; two genders are accepted")
        self.names = {gender: _words(_part(these, "names", gender)) for gender, these in people.items()}
        self.pronouns: dict[str, Mapping[str, str]] = {
            gender: {case: _part(_part(these, "pronouns", gender), case, f"pronouns of {gender}") for case in PRONOUNS}
            for gender, these in people.items()
        }
        self.genders = {name: gender for gender, names in self.names.items() for name in names}
        self.moods: Mapping[str, Mapping[str, str]] = _part(rules, "moods", "rules")
        self.felt = {mood: _words(phrases) for mood, phrases in _part(rules, "felt", "rules").items()}
        self.lead = {mood: _words(phrases) for mood, phrases in _part(rules, "lead", "rules").items()}
        for mood in (mood for causes in self.moods.values() for mood in causes.values()):
            _part(self.felt, mood, "felt")
            _part(self.lead, mood, "lead")
        self.frames: Sequence[str] = _part(rules, "frames", "rules")
        for frame in self.frames:
            _check_slots(frame, {"core", "felt", "lead", *PRONOUNS}, "frame")
        self.lists: dict[str, list[str]] = {}
        self._kinds: dict[str, str] = {}
        for kind, lists in _part(rules, "lists", "rules").items():
            for name, values in lists.items():
                self.lists[name], self._kinds[name] = _words(values), kind
        self.plots = {name: self._plot(name, written) for name, written in _part(rules, "plots", "rules").items()}
        self.reasons = [PERSON, *dict.fromkeys(self._kinds.values()), OUTCOME, MOOD]
        """Why an ending may be wrong, in the order in which reasons are given."""

    def reason(self, plot: Plot, variable: str) -> str:
        """What kind of mistake it is to get that variable wrong."""
        if variable in plot.roles:
            return self._kinds[plot.roles[variable]]
        return variable if variable in (OUTCOME, MOOD) else PERSON

    def _plot(self, name: str, written: Mapping[str, Any]) -> Plot:
        where = f"plot {name}"
        roles: Mapping[str, str] = _part(written, "roles", where)
        for drawn_from in roles.values():
            values = _part(self.lists, drawn_from, f"lists, but {where} names it")
            if len(values) < max(2, len(roles)):
                raise UserError(f"story world list {drawn_from} is too short for {where}")
        sentences = _part(written, "sentences", where)
        endings = _part(written, "endings", where)
        if len(sentences) != SENTENCES:
            raise UserError(f"story world {where} has {len(sentences)} sentences; {SENTENCES} are accepted")
        if set(endings) != set(self.moods):
            raise UserError(f"story world {where} has endings {', '.join(endings)}; {', '.join(self.moods)} are needed")
        slots = {*PEOPLE, *roles}
        for form in (form for happenings in sentences for forms in happenings.values() for form in forms):
            _check_slots(form, slots, where)
        for form in (form for forms in endings.values() for form in forms):
            _check_slots(form, slots, where, needed="hero")
        _check_told(sentences, ["friend", *roles], where)
        _check_parallel(endings, roles, where)
        return Plot(name, roles, sentences, self._laws(_part(written, "laws", where), sentences, where), endings)

    def _laws(
        self, written: Mapping[str, str], sentences: Sequence[Mapping[str, Sequence[str]]], where: str
    ) -> dict[tuple[str, ...], Fate]:
        """A law names the happenings of those sentences that leave a choice."""
        laws = {}
        for causes, effect in written.items():
            named = causes.split()
            choices = [happenings for happenings in sentences if len(happenings) > 1]
            if len(named) != len(choices) or any(one not in those for one, those in zip(named, choices, strict=True)):
                raise UserError(f"story world {where}: the law {causes!r} does not name one happening of each sentence")
            outcome, _, cause = effect.partition(" ")
            mood = _part(_part(self.moods, outcome, "moods"), cause, f"moods of {outcome}")
            left = iter(named)
            laws[tuple(next(left) if len(one) > 1 else next(iter(one)) for one in sentences)] = Fate(outcome, mood)
        moods = [{fate.mood for fate in laws.values() if fate.outcome == outcome} for outcome in self.moods]
        if len({len(those) for those in moods}) != 1 or not moods[0]:
            raise UserError(f"story world {where}: the laws must lead to every outcome through equally many causes")
        return laws


def _part(mapping: Mapping[str, Any], key: str, where: str) -> Any:
    if not isinstance(mapping, Mapping) or key not in mapping:
        raise UserError(f"story world card has no {key!r} in {where}")
    return mapping[key]


def _words(written: str | Sequence[str]) -> list[str]:
    """A list of phrases; single words may be written as one string."""
    return written.split() if isinstance(written, str) else list(written)


def _check_slots(form: str, known: Iterable[str], where: str, needed: str | None = None) -> None:
    slots = SLOT.findall(form)
    if unknown := set(slots) - set(known):
        raise UserError(f"story world {where}: {form!r} has the unknown slot {min(unknown)!r}")
    if needed and needed not in slots:
        raise UserError(f"story world {where}: {form!r} does not name {{{needed}}}")


def _check_told(sentences: Sequence[Mapping[str, Sequence[str]]], variables: Iterable[str], where: str) -> None:
    """The state must follow from the text: every role is named by all forms of some sentence, the hero by the first."""
    told = [
        set.intersection(*(set(SLOT.findall(form)) for forms in happenings.values() for form in forms))
        for happenings in sentences
    ]
    for variable in variables:
        if not any(variable in slots for slots in told):
            raise UserError(f"story world {where}: no sentence names {{{variable}}} in all of its forms")
    if "hero" not in told[0]:
        raise UserError(f"story world {where}: the first sentence does not name {{hero}} in all of its forms")


def _check_parallel(endings: Mapping[str, Sequence[str]], roles: Iterable[str], where: str) -> None:
    """Without this, how often a role is named would tell right endings from wrong ones."""
    if len({len(forms) for forms in endings.values()}) != 1:
        raise UserError(f"story world {where}: every outcome needs as many endings as the others")
    for forms in zip(*endings.values(), strict=True):
        if len({frozenset(SLOT.findall(form)) & {"friend", *roles} for form in forms}) != 1:
            raise UserError(f"story world {where}: these endings must name the same things: {' / '.join(forms)}")
