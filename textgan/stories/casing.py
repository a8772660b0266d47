"""Capitals for models that write lower-case text."""

from __future__ import annotations

from collections.abc import Sequence

_EDGES = ".,;:!?\"'()“”"
_ALWAYS = {"i": "I", "i'm": "I'm", "i'd": "I'd", "i'll": "I'll", "i've": "I've"}
_OPENERS = """
a an the this that these those my your his her its our their i he she it we you they one two some all both many most
no not every each another there here then now soon later after before when while once since until because if although
though as so but and or yet still also even just only in on at by for from with without to into during over under up
down off out unfortunately luckily finally suddenly eventually however instead today yesterday tomorrow tonight last
next first what who where why how everyone everything nobody nothing someone something people almost always never
sometimes often
"""
"""Words that begin a sentence without being names."""


def cased(text: str, context: Sequence[str]) -> str:
    """Lower-case text with the capitals of a sentence: its first letter, "I", and the names that the context has."""
    names = dict(_ALWAYS)
    for sentence in context:
        for place, word in enumerate(sentence.split()):
            bare = word.strip(_EDGES).removesuffix("'s")
            if bare[:1].isupper() and not (place == 0 and bare.lower() in _OPENERS.split()):
                names[bare.lower()] = bare
    joined = " ".join(_renamed(word, names) for word in text.split(" "))
    return joined[:1].upper() + joined[1:]


def _renamed(word: str, names: dict[str, str]) -> str:
    bare = word.strip(_EDGES)
    stem = bare.removesuffix("'s")
    found = names.get(bare) or (names[stem] + bare[len(stem) :] if stem in names else bare)
    return word.replace(bare, found, 1) if bare else word
