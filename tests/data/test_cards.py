"""Cards: all can be read, specs find them, packages are read without importing, cleaning does what it says."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from itertools import groupby
from pathlib import Path

import pytest
import yaml

from textgan.data import cards, series
from textgan.data.cards import card_folder, card_names, clean, load_card, open_source
from textgan.data.images import readers as images
from textgan.data.readers import Row
from textgan.data.settings import DataConfig, Settings, resolve
from textgan.errors import UserError


def rows(*texts: str) -> list[Row]:
    return [Row(text) for text in texts]


def cleaned(*texts: str, **options: object) -> list[str]:
    return [row.text for row in clean(iter(rows(*texts)), **options)]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package whose import fails, with the folder of its data."""
    folder = tmp_path / "site" / "fake_reviews"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('heavy')\n")
    (folder / "data" / "all.csv").write_text("text,label,source\ngood one,1,rt\nlong,0,imdb\nbad one,0,rt\n")
    card = {
        "name": "fake",
        "title": "t",
        "about": "a",
        "language": "en",
        "licence": "l",
        "source": {"package": "fake_reviews", "file": "data/all.csv", "install": "fake-reviews==1"},
        "read": {"kind": "table", "text": "text", "label": "label", "where": {"source": "rt"}},
    }
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "fake.yaml").write_text(yaml.safe_dump(card))
    monkeypatch.setattr(cards, "card_folder", lambda: tmp_path / "cards")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder


@pytest.mark.parametrize("name", card_names())
def test_every_card_is_complete(name: str) -> None:
    card = load_card(name)
    assert all((card.title, card.about, card.language, card.licence))
    kind = card.read["kind"]
    assert kind in {*cards.READERS, *images.READERS, *series.READERS, "fonts", "artist_curves"} or name == "oracle"
    if kind in cards.READERS:
        assert set(card.defaults) <= {field.name for field in fields(DataConfig)}
        assert isinstance(resolve(DataConfig(), card.defaults), Settings)
    assert not card.prepared or (card.prepared["sentences"] > 0 and len(card.prepared["sha256"]) == 64)


def test_the_cards_that_the_documentation_names_are_there() -> None:
    expected = "bbe captions grammar movie_reviews news oracle poems rocstories sms_spam sotu trec yelp"
    assert set(expected.split()) <= set(card_names())
    assert card_folder().name == "corpora"


def test_a_package_is_read_without_being_imported(package: Path) -> None:
    source = open_source("fake")
    assert list(source.rows()) == [Row("good one", "1"), Row("bad one", "0")]
    before = source.identity
    (package / "data" / "all.csv").write_text("text,label,source\n")
    assert open_source("fake").identity != before


def test_a_missing_package_says_what_to_install(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^corpus 'fake' is not installed: pip install fake-reviews==1$"):
        open_source("fake")


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ("bbee", None, r"unknown corpus 'bbee': did you mean 'bbe'\? Accepted: .* bbe, captions, grammar"),
        ("qqqq", None, "unknown corpus 'qqqq': Accepted"),
        ("captions", None, "corpus 'captions' needs your file: captions:PATH, where PATH is a .txt file"),
        ("bbe:x.txt", None, "corpus 'bbe' takes no file, but 'x.txt' is given"),
        ("bbe", "text", "corpus 'bbe' has no fields, but field 'text' is asked for"),
        ("oracle", None, "corpus 'oracle' is not text"),
        ("no/where.txt", None, "no/where.txt does not exist"),
        ("captions:nowhere.txt", None, "nowhere.txt does not exist"),
        ("", None, "unknown corpus '': Accepted"),
    ],
)
def test_a_spec_that_names_nothing_is_refused(spec: str, field: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_source(spec, field)
    assert "\n" not in str(caught.value)


def test_a_users_file_is_read_as_its_card_says(tmp_path: Path) -> None:
    path = tmp_path / "stories.csv"
    path.write_text("sentence1,sentence2,sentence3,sentence4,sentence5\na,b,c,d,e\n")
    source = open_source(f"rocstories:{path}")
    assert source.name == "rocstories"
    assert [row.text for row in source.rows()] == list("abcde")
    assert [row.text for row in open_source(str(path), "sentence2").rows()] == ["b"]


def test_a_folder_is_named_after_itself_and_is_another_when_a_file_of_it_is(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("fine\n")
    first = open_source(f"{tmp_path}/")
    assert first.name == tmp_path.name
    assert list(first.rows()) == [Row("fine", "good")]
    (tmp_path / "notes.md").write_text("")
    assert open_source(str(tmp_path)).identity == first.identity
    (tmp_path / "bad.txt").write_text("awful\n")
    assert open_source(str(tmp_path)).identity != first.identity


def test_a_label_field_is_for_tables(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="corpus 'bbe' has no fields, but field 'kind' is asked for"):
        open_source("bbe", None, "kind")
    path = tmp_path / "a.csv"
    path.write_text("a,b\nx,y\n")
    assert list(open_source(f"yelp:{path}", "a", "b").rows()) == [Row("x", "y")]
    assert open_source(str(path), "a", "b").identity != open_source(str(path), "a").identity


def test_a_file_with_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.doc").write_text("x")
    with pytest.raises(UserError, match=r"unknown ending '.doc'; .txt, .jsonl, .csv, .tsv are accepted"):
        open_source(str(tmp_path / "a.doc"))


def test_cleaning_replaces_splits_rejects_and_counts_words() -> None:
    options = {"replace": {r"\\\d+\\": " "}, "split": r"(?<=[.;])\s+", "reject": r"[()]", "words": [2, 4]}
    text = r"one two.\12\ three; (four) five. six seven eight nine. a  b c."
    assert cleaned(text, **options) == ["one two.", "three;", "a b c."]


def test_cleaning_keeps_each_distinct_row_once_and_drops_blanks() -> None:
    assert cleaned("a", " ", "b", "a", "", distinct=True) == ["a", "b"]
    labelled = [Row("a", "x"), Row("a", "y"), Row("a", "x")]
    assert list(clean(iter(labelled), distinct=True)) == labelled[:2]


@pytest.mark.parametrize("name", ["bbe", "grammar"])
def test_an_embedded_corpus_is_what_its_card_says(name: str) -> None:
    rows = list(open_source(name).rows())
    texts = [row.text for row in rows]
    digest = hashlib.sha256("".join(f"{text}\n" for text in texts).encode()).hexdigest()
    assert load_card(name).prepared == {"sentences": len(texts), "sha256": digest}
    assert sorted({row.label for row in rows} - {""}) == list(load_card(name).categories)
    if name == "bbe":
        assert texts[0] == "At the first God made the heaven and the earth."
        parts = [(label, [row.text for row in part]) for label, part in groupby(rows, key=lambda row: row.label)]
        assert [label for label, _ in parts] == ["history", "poetry", "gospel"]
        assert parts[1][1][0] == "He was without sin and upright, fearing God and keeping himself far from evil."
        assert "Abraham" in parts[2][1][0]
        assert not [text for text in texts if set(text) & set("0123456789\\*()[]+")]
