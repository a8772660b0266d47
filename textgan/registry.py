"""From a name to a game: every file in ``textgan/games/`` is one. There is no list to edit."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from typing import Any

import textgan.games
from textgan.errors import UserError
from textgan.game import Game


@dataclass(frozen=True)
class Entry:
    """A game file: its one `Game` subclass, its `Config` and the `TINY` config that runs in seconds."""

    name: str
    game: type[Game]
    config: type[Any]
    tiny: Any
    summary: str
    """First line of the file: the method and its paper."""
    doc: str


def names() -> list[str]:
    """Names of all games, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(textgan.games.__path__))


def find(name: str) -> Entry:
    """The game called `name`.

    Raises:
        UserError: there is none; the message has the nearest name.
    """
    if name not in names():
        near = difflib.get_close_matches(name.lower().replace("-", "_"), names(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names())}"
        raise UserError(f"there is no game {name!r}; {hint}")
    module = importlib.import_module(f"textgan.games.{name}")
    (game,) = (
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Game) and member.__module__ == module.__name__
    )
    doc = inspect.cleandoc(module.__doc__ or "")
    return Entry(name, game, module.Config, module.TINY, doc.splitlines()[0], doc)
