"""From what a user hands over to the sentences of a context, or to a prompt, or an error that names what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textgan.data.sentences import split_sentences
from textgan.errors import UserError

Context = tuple[str, ...]
"""The sentences of a context; a prompt is one, whatever it is made of."""


def as_contexts(given: Any, sentences: int) -> tuple[list[Context], bool]:
    """The contexts in `given`, and whether it was a single one.

    One context is a text of so many sentences, or a tuple of them; a list holds contexts.

    Raises:
        UserError: naming the context, what it is, and what is accepted.
    """
    if isinstance(given, list):
        if not given:
            raise UserError("the list of contexts is empty; at least one is needed")
        return [as_context(item, sentences, f"context {i}") for i, item in enumerate(given, start=1)], False
    return [as_context(given, sentences, "the context")], True


def as_context(given: Any, sentences: int, name: str) -> Context:
    """The sentences of the context called `name`."""
    if isinstance(given, str):
        parts: Sequence[Any] = split_sentences(given) if sentences > 1 else (given,)
        if not given.strip():
            raise UserError(f"{name} is empty; {sentences} sentences are accepted")
    elif isinstance(given, tuple):
        parts = given
    else:
        raise UserError(
            f"{name} is {_shown(given)}, of type {type(given).__name__}; "
            f"a text of {sentences} sentences or a tuple of them is accepted"
        )
    for i, part in enumerate(parts, start=1):
        as_text(part, f"{name}, sentence {i}" if sentences > 1 else name, digits=sentences == 1)
    if len(parts) != sentences:
        raise UserError(f"{name} has {len(parts)} sentences ({_shown(given)}); {sentences} are accepted")
    return tuple(parts)


def as_text(given: Any, name: str, digits: bool = True) -> str:
    """A text that is not empty; `digits`: a number is one."""
    if not isinstance(given, str):
        raise UserError(f"{name} is {_shown(given)}, of type {type(given).__name__}; text is accepted")
    if not given.strip():
        raise UserError(f"{name} is empty; text is accepted")
    if not any(character.isalpha() or (digits and character.isdigit()) for character in given):
        raise UserError(f"{name} is {_shown(given)}, in which there is no word")
    return given


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
