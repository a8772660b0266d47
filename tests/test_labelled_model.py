"""A game of categories from end to end: trained, generated for a category, evaluated, reported."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import textgan
from tests import labelled_game
from textgan import registry
from textgan.config import parse_train_command
from textgan.data.spec import LabelledSpec
from textgan.errors import UserError
from textgan.evaluate import main as evaluate
from textgan.experiment import prepare, run_folder
from textgan.generate import main as generate
from textgan.text_model import TextModel
from textgan.train import main as train

NAME = "place_unigrams"
LABELS = ("cat", "dog", "owl")


@pytest.fixture(scope="module", autouse=True)
def game() -> Iterator[None]:
    """One game more than there is."""
    with pytest.MonkeyPatch.context() as patch:
        there = registry.names()
        patch.setattr(registry, "names", lambda: [*there, NAME])
        patch.setitem(sys.modules, f"textgan.games.{NAME}", labelled_game)
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A label, a text; no names. Categories differ in their second word."""
    path = tmp_path_factory.mktemp("labelled") / "animals.tsv"
    rows = [f"{label}\tthe {label} {a} {b} .\n" for label in LABELS for a in "abcdefghij" for b in "abcdefghij"]
    path.write_text("".join(rows))
    return path


@pytest.fixture(scope="module")
def options(table: Path) -> list[str]:
    fields = ["--corpus", str(table), "--corpus-field", "2", "--label-field", "1"]
    sizes = ["--evaluation.samples", "50", "--evaluation.final-samples", "60", "--evaluation.temperatures", "0.5"]
    return [NAME, *fields, *sizes]


@pytest.fixture(scope="module")
def run(cache: None, options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run. Tests do not change it."""
    folder = tmp_path_factory.mktemp("runs") / "labelled"
    train([*options, "--run", str(folder)])
    return folder


@pytest.fixture(scope="module")
def model(run: Path) -> TextModel:
    return textgan.load(run)


def animals(sentences: list[str]) -> list[str]:
    """What was learned: the second word."""
    return [[*sentence.split(), "", ""][1] for sentence in sentences]


def test_the_description_of_the_data_is_read_back(model: TextModel) -> None:
    assert model.categories == LABELS
    assert isinstance(model.spec, LabelledSpec)
    assert model.spec.categories == LABELS


def test_sentences_are_of_the_category_asked_for(model: TextModel) -> None:
    for label in LABELS:
        assert set(animals(model.sample(50, temperature=0.3, seed=0, category=label))) == {label}


def test_without_one_they_are_of_each_in_turn_over_several_draws(model: TextModel) -> None:
    sentences = model.sample(2002, temperature=0.3, seed=0)
    assert animals(sentences) == model.categories_of(2002) == [LABELS[i % 3] for i in range(2002)]
    assert model.categories_of(2, "owl") == ["owl", "owl"]


def test_a_category_that_is_not_there_is_refused_with_those_that_are(model: TextModel) -> None:
    with pytest.raises(UserError, match=r"category is 'fox'; it must be one of: cat, dog, owl$"):
        model.sample(1, category="fox")


def test_generate_writes_a_category(run: Path, model: TextModel, capsys: pytest.CaptureFixture[str]) -> None:
    generate([str(run), "--num", "20", "--seed", "1", "--category", "dog"])
    assert capsys.readouterr().out.splitlines() == model.sample(20, seed=1, category="dog")


def test_json_lines_have_the_category(run: Path, model: TextModel, capsys: pytest.CaptureFixture[str]) -> None:
    generate([str(run), "--num", "2002", "--seed", "1", "--format", "jsonl"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["category"] for row in rows] == model.categories_of(2002)
    assert [row["text"] for row in rows] == model.sample(2002, seed=1)
    assert "log_prob" not in rows[0]  # this game has no density
    assert not model.has_density
    generate([str(run), "--num", "2", "--category", "owl", "--format", "jsonl"])
    assert [json.loads(line)["category"] for line in capsys.readouterr().out.splitlines()] == ["owl", "owl"]


def test_the_run_says_how_well_categories_are_told(run: Path) -> None:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    test = next(record for record in records if record["kind"] == "test")
    assert test["scores"]["category-accuracy"]["value"] > 0.9
    card = (run / "README.md").read_text()
    assert "category-accuracy" in card
    assert "3 categories (to train / validate / test): cat " in card
    assert "model.sample(8, category=model.categories[0])" in card
    assert "category-accuracy" in (run / "report.html").read_text()
    shown = sorted((run / "samples").iterdir())[-1].read_text().splitlines()
    assert {line.split(": ")[0] for line in shown} == set(LABELS)


def test_evaluate_scores_categories(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate([str(run), "--num", "30"])
    assert "category-accuracy-owl" in capsys.readouterr().out


def test_a_run_with_categories_can_be_resumed(run: Path, options: list[str]) -> None:
    entry = registry.find(NAME)
    command = parse_train_command(entry, [*options[1:], "--run", str(run), "--resume"], NAME)
    assert run_folder(entry, command, prepare(entry, command.settings)).folder == run


def test_the_embedded_corpus_is_learned_from_where_none_is_named() -> None:
    entry = registry.find(NAME)
    settings = parse_train_command(entry, ["--tiny"], NAME).settings
    assert prepare(entry, settings).game.spec.categories == ("gospel", "history", "poetry")


def test_a_label_field_is_for_games_of_categories(table: Path, tmp_path: Path) -> None:
    fields = ["--corpus", str(table), "--corpus-field", "2", "--label-field", "1"]
    with pytest.raises(UserError, match=r"label_field is '1'; a game that is played on text reads no labels"):
        train(["mle", "--tiny", *fields, "--run", str(tmp_path / "run")])
