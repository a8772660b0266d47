from __future__ import annotations

import pkgutil

import pytest

import textgan.games
from textgan import registry
from textgan.errors import UserError
from textgan.game import Game


def test_every_file_among_the_games_is_listed_in_order() -> None:
    assert registry.names() == sorted(module.name for module in pkgutil.iter_modules(textgan.games.__path__))


@pytest.mark.parametrize("name", registry.names())
def test_an_entry_is_what_its_file_says(name: str) -> None:
    entry = registry.find(name)
    assert entry.name == name
    assert issubclass(entry.game, Game)
    assert entry.game.__module__ == entry.config.__module__ == f"textgan.games.{name}"
    assert type(entry.tiny) is entry.config
    assert entry.summary == entry.doc.splitlines()[0]


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("segan", "did you mean seqgan"),
        ("SeqGAN", "did you mean seqgan"),
        ("", "there are: acgan, araml"),
        ("../seqgan", "did you mean seqgan"),
    ],
)
def test_an_unknown_name_gets_the_nearest_one(asked: str, hint: str) -> None:
    with pytest.raises(UserError, match=f"there is no game '{asked}'; {hint}"):
        registry.find(asked)
