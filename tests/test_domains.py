"""What games are played on: one table, of which every row fits together."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves

from textgan import registry
from textgan.config import Settings, defaults
from textgan.domains import DOMAINS
from textgan.errors import UserError

every_domain = pytest.mark.parametrize("name", DOMAINS)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a user says of the data."""

    corpus: str
    data: Any
    corpus_field: str | None = None
    label_field: str | None = None


@every_domain
def test_some_game_is_played_on_it(name: str) -> None:
    assert name in {registry.find(game).game.data for game in registry.names()}


def test_every_game_is_played_on_one_that_there_is() -> None:
    assert {registry.find(game).game.data for game in registry.names()} <= set(DOMAINS)


@every_domain
def test_the_embedded_corpus_opens_as_the_domain_says(name: str) -> None:
    domain = DOMAINS[name]
    small = {"limit": 600} if any(f.name == "limit" for f in dataclasses.fields(domain.data)) else {}
    corpus = domain.open(Asked(domain.embedded, domain.data(**small)))
    assert isinstance(corpus.spec, domain.spec)
    assert dataclasses.asdict(corpus.config).keys() >= {f.name for f in dataclasses.fields(domain.data)}
    assert corpus.signature
    assert corpus.report.lines()
    assert len(tree_leaves(corpus.train.take(torch.arange(3)))[0]) == 3


@every_domain
def test_what_tiny_says_are_options_that_there_are(name: str) -> None:
    domain = DOMAINS[name]
    for group, options in domain.tiny.items():
        kind = {"data": domain.data, "evaluation": domain.evaluation}[group]
        assert options.keys() <= {f.name for f in dataclasses.fields(kind)}


@pytest.mark.parametrize("name", ["images", "image_pairs", "glyphs", "series"])
def test_what_has_no_fields_refuses_them(name: str) -> None:
    domain = DOMAINS[name]
    with pytest.raises(UserError, match="label_field is 'x'; this data has no fields"):
        domain.open(Asked(domain.embedded, domain.data(), label_field="x"))


def test_a_game_may_say_what_is_usual_for_it() -> None:
    for game in registry.names():
        entry = registry.find(game)
        found = defaults(entry, Settings)
        for field, value in entry.game.usual.get("data", {}).items():
            assert getattr(found.data, field) == value, game
        assert found.corpus == entry.game.usual.get("corpus", DOMAINS[entry.game.data].embedded)
