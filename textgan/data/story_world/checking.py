"""From text back to facts: the inverse of `telling`.

A sentence's *skeleton* is the sentence with every name, pronoun, thing and mood replaced by its tag: "She bought the
kite." is ``<he> bought the <toys>``. Every form of the world is looked up by its skeleton, so reading a sentence costs
the same however many forms there are. Rules whose sentences could be read in two ways are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from textgan.data.story_world.rules import MOOD, OUTCOME, PRONOUNS, SENTENCES, SLOT, Facts, Plot, Rules
from textgan.errors import UserError

Skeleton = tuple[str, ...]

_TAGS = {"hero": "<name>", "friend": "<name>", "he": "<he>", "him": "<him>", "his": "<him>"}
"""One tag for "him" and "his", because "her" is both; `Reader` tells them apart by the form."""


@dataclass(frozen=True)
class Entry:
    """What a skeleton means: a happening or an outcome of a plot, and the slots in order."""

    plot: Plot
    meaning: str
    slots: tuple[str, ...]


class Reader:
    """Reads sentences and endings of a world. Raises UserError for rules that could be read in two ways."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._phrases: dict[Skeleton, tuple[str, str]] = {}
        """Tag and value of every phrase that a tag stands for."""
        self._learn_phrases()
        self._longest: dict[str, int] = {}
        """Words of the longest phrase that begins with a word."""
        for phrase in self._phrases:
            self._longest[phrase[0]] = max(len(phrase), self._longest.get(phrase[0], 0))
        self._sentences: list[dict[Skeleton, list[Entry]]] = [{} for _ in range(SENTENCES)]
        self._endings: dict[Skeleton, list[Entry]] = {}
        for plot in rules.plots.values():
            for place, happenings in enumerate(plot.sentences):
                for happening, forms in happenings.items():
                    for form in forms:
                        self._learn(self._sentences[place], form, plot, happening, by_name=place == 0)
            for outcome, forms in plot.endings.items():
                for form, frame in product(forms, rules.frames):
                    self._learn(self._endings, frame.replace("{core}", form), plot, outcome)
        for entries in self._sentences[0].values():
            if len({entry.plot.name for entry in entries}) > 1:
                names = " and ".join(sorted({entry.plot.name for entry in entries}))
                raise UserError(f"story world plots {names} have a first sentence in common")

    def facts(self, sentences: Sequence[str]) -> tuple[Plot, Facts]:
        """The plot that four sentences tell, and all that is true in it.

        Raises UserError if they are not four, or not a story of this world.
        """
        if len(sentences) != SENTENCES:
            raise UserError(f"a story has {SENTENCES} sentences before its ending; found {len(sentences)}")
        plot: Plot | None = None
        facts: Facts = {}
        happenings = []
        for place, sentence in enumerate(sentences):
            found = [entry for entry in self._read(self._sentences[place], sentence) if plot in (None, entry[0].plot)]
            if not found:
                kind = f" of the plot {plot.name!r}" if plot else ""
                raise UserError(f"sentence {place + 1} is no such sentence{kind} of this world: {sentence!r}")
            entry, told = found[0]
            plot = entry.plot
            happenings.append(entry.meaning)
            if any(facts.get(variable, value) != value for variable, value in told.items()):
                raise UserError(f"sentence {place + 1} contradicts those before it: {sentence!r}")
            facts |= told
        assert plot is not None
        if self._rules.genders[facts["friend"]] == facts["gender"]:
            raise UserError(f"{facts['hero']} and {facts['friend']} must have different pronouns to be told apart")
        if tuple(happenings) not in plot.laws:
            raise UserError(f"this does not happen in one story of this world: {', '.join(happenings)}")
        return plot, facts | plot.laws[tuple(happenings)]._asdict()

    def claims(self, ending: str) -> list[tuple[Plot, Facts]]:
        """What an ending claims, for every plot that has such an ending. Empty: not an ending of this world."""
        return [(entry.plot, claims | {OUTCOME: entry.meaning}) for entry, claims in self._read(self._endings, ending)]

    def _read(self, known: dict[Skeleton, list[Entry]], text: str) -> list[tuple[Entry, Facts]]:
        skeleton, values = self._skeleton(_words(text))
        read = ((entry, self._told(entry.slots, values)) for entry in known.get(skeleton, []))
        return [(entry, told) for entry, told in read if told is not None]

    def _told(self, slots: Sequence[str], values: Sequence[str]) -> Facts | None:
        """The facts that the slots' values say; None if a pronoun has the wrong case or they contradict each other."""
        told: Facts = {}
        for slot, value in zip(slots, values, strict=True):
            facts = {MOOD if slot in ("felt", "lead") else slot: value}
            if slot in PRONOUNS:
                genders = [gender for gender, forms in self._rules.pronouns.items() if forms[slot].lower() == value]
                if not genders:
                    return None
                facts = {"gender": genders[0]}
            elif slot == "hero":
                facts["gender"] = self._rules.genders[value]
            if any(told.get(variable, one) != one for variable, one in facts.items()):
                return None
            told |= facts
        return told

    def _skeleton(self, words: Sequence[str]) -> tuple[Skeleton, list[str]]:
        """The words with phrases replaced by tags, the longest first; and the phrases' values."""
        skeleton, values = [], []
        place = 0
        while place < len(words):
            for length in range(self._longest.get(words[place], 0), 0, -1):
                found = self._phrases.get(tuple(words[place : place + length]))
                if found:
                    skeleton.append(found[0])
                    values.append(found[1])
                    place += length
                    break
            else:
                skeleton.append(words[place])
                place += 1
        return tuple(skeleton), values

    def _learn_phrases(self) -> None:
        def learn(text: str, tag: str, value: str) -> None:
            known = self._phrases.setdefault(tuple(_words(text)), (tag, value))
            if known != (tag, value):
                raise UserError(f"story world phrase {text!r} is both {known[0]} {known[1]} and {tag} {value}")

        for name in self._rules.genders:
            learn(name, _TAGS["hero"], name)
        for pronouns in self._rules.pronouns.values():
            for case, word in pronouns.items():
                learn(word, _TAGS[case], word.lower())
        for drawn_from, values in self._rules.lists.items():
            for value in values:
                learn(value, f"<{drawn_from}>", value)
        for slot, moods in (("felt", self._rules.felt), ("lead", self._rules.lead)):
            for mood, phrases in moods.items():
                for phrase in phrases:
                    learn(phrase, f"<{slot}>", mood)

    def _learn(
        self, known: dict[Skeleton, list[Entry]], form: str, plot: Plot, meaning: str, by_name: bool = False
    ) -> None:
        for skeleton, slots in self._skeletons(form, plot, by_name):
            entry = Entry(plot, meaning, slots)
            entries = known.setdefault(skeleton, [])
            if any(other.plot is plot and other.meaning != meaning for other in entries):
                raise UserError(f"story world plot {plot.name}: {form!r} has two meanings")
            if entry not in entries:
                entries.append(entry)

    def _skeletons(self, form: str, plot: Plot, by_name: bool) -> Iterator[tuple[Skeleton, tuple[str, ...]]]:
        """The form's skeletons, with the hero by name and, unless `by_name`, by pronoun; and the slots in order."""
        literals = SLOT.split(form)[::2]
        for literal in literals:
            if self._skeleton(_words(literal))[1]:
                raise UserError(f"story world plot {plot.name}: {form!r} writes out what stands in a list: {literal!r}")
        written = SLOT.findall(form)
        mentions = [("hero", "he") if slot == "hero" and not by_name else (slot,) for slot in written]
        for slots in product(*mentions):
            tags = [_TAGS.get(slot, f"<{plot.roles.get(slot, slot)}>") for slot in slots]
            words = _cut(literals[0])
            for tag, literal in zip(tags, literals[1:], strict=True):
                words += [tag, *_cut(literal)]
            yield tuple(_without_stop(words)), slots


def _cut(text: str) -> list[str]:
    return re.findall(r"\w+(?:['-]\w+)*|[^\w\s]", text.lower().replace("’", "'"))


def _without_stop(words: list[str]) -> list[str]:
    return words[:-1] if words and words[-1] == "." else words


def _words(text: str) -> list[str]:
    """Lower-case words and marks, without the final stop: "the bike ." is "The bike."."""
    return _without_stop(_cut(text))
