"""The chat template of a `transformers` tokenizer: what stands before and after that which the user says."""

from __future__ import annotations

from typing import Any, NamedTuple

from textgan.errors import UserError

_SAID = "\ue000said\ue001"
"""Stands for what the user says: characters of private use, which no template has."""


class ChatTemplate(NamedTuple):
    """What stands around a prompt; the answer follows."""

    before: list[int]
    """Token ids of the model's, without the mark that a text begins with, which a generator reads anyway."""
    after: list[int]
    space: str
    """Spaces between `before` and the prompt, which may be part of the prompt's first token."""


def chat_template(theirs: Any, name: str) -> ChatTemplate:
    """The template that comes with a tokenizer of transformers, for one thing that the user says.

    Raises UserError where there is none, or where it makes something else of what is said than a part of the text.
    """
    if not getattr(theirs, "chat_template", None):
        raise UserError(f"tokenizer {name} has no chat template, and chat_template is on: leave it out")
    try:
        said = [{"role": "user", "content": _SAID}]
        text = theirs.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # whatever the template makes it raise
        raise UserError(f"the chat template of {name} cannot be used: {' '.join(str(error).split())}") from error
    parts = text.split(_SAID)
    if len(parts) != 2:
        raise UserError(f"the chat template of {name} has what the user says {len(parts) - 1} times; once is accepted")
    space = parts[0][len(parts[0].rstrip(" ")) :]
    before, after = (theirs(part, add_special_tokens=False)["input_ids"] for part in (parts[0].rstrip(" "), parts[1]))
    return ChatTemplate(before[1:] if before[:1] == [theirs.bos_token_id] else before, after, space)
