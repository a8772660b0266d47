"""A game of images, trained, resumed, drawn from, measured and reported on by the command lines."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import textgan
from textgan import evaluate, generate, report
from textgan.errors import UserError
from textgan.image_models import ImageModel
from textgan.run import Run
from textgan.train import main

TINY = ["--tiny", "--evaluation.samples", "20", "--evaluation.final-samples", "20", "--trainer.evaluations", "3"]


@pytest.fixture(scope="module")
def run(cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images") / "run"
    main(["dcgan", *TINY, "--game.rounds", "6", "--run", str(folder)])
    return folder


@pytest.fixture(scope="module")
def model(run: Path) -> ImageModel:
    found = textgan.load(run)
    assert isinstance(found, ImageModel)
    return found


def test_a_run_has_samples_sheets_and_a_film_in_its_report(run: Path) -> None:
    assert sorted(file.name for file in (run / "samples").iterdir()) == ["12.png", "4.png", "8.png"]
    assert {"real.png", "interpolation.png"} <= {file.name for file in (run / "sheets").iterdir()}
    page = (run / "report.html").read_text()
    assert page.count("data:image/gif;base64,") == 1
    assert page.count("data:image/png;base64,") >= 4
    assert "img-src data:" in page


def test_no_tokenizer_is_written(run: Path) -> None:
    assert not (run / "tokenizer.json").exists()
    assert Run.open(run).data()["tokens"] == "images.1x8x8"


def test_the_same_seed_draws_the_same_images(model: ImageModel) -> None:
    images = model.sample(5, seed=3)
    assert images.shape == (5, 1, 8, 8)
    assert torch.equal(images, model.sample(5, seed=3))
    assert not torch.equal(images, model.sample(5, seed=4))


def test_drawing_leaves_the_random_numbers_of_others_alone(model: ImageModel) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    model.sample(2, seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_there_are_no_categories_to_ask_for(model: ImageModel) -> None:
    assert model.categories == ()
    with pytest.raises(UserError, match="knows no categories"):
        model.sample(1, category="3")


def test_generate_writes_a_sheet_or_a_file_an_image(run: Path, tmp_path: Path, model: ImageModel) -> None:
    generate.main([str(run), "--num", "9", "--seed", "1", "--out", str(tmp_path / "grid.png")])
    with Image.open(tmp_path / "grid.png") as sheet:
        assert np.array_equal(np.asarray(sheet), np.asarray(model.grid(9, seed=1)))
    generate.main([str(run), "--num", "3", "--seed", "1", "--out", str(tmp_path / "all")])
    assert sorted(file.name for file in (tmp_path / "all").iterdir()) == ["0000.png", "0001.png", "0002.png"]
    with Image.open(tmp_path / "all" / "0002.png") as last:
        assert last.size == (8, 8)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--temperature", "0.5"], "--temperature 0.5 cannot be used here"),
        (["--format", "jsonl"], "--format jsonl cannot be used here"),
        (["--num", "0"], "the number asked for is 0"),
        (["--out", "nowhere/grid.png"], "there is no folder nowhere"),
    ],
)
def test_generate_refuses(run: Path, args: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        generate.main([str(run), *args])


def test_evaluate_prints_the_scores(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate.main([str(run), "--num", "30"])
    printed = capsys.readouterr().out
    assert "frechet-distance" in printed
    assert "samples:30" in printed
    with pytest.raises(UserError, match="--encoder minilm cannot be used here"):
        evaluate.main([str(run), "--encoder", "minilm"])


def test_the_report_of_two_runs_shows_both(run: Path, tmp_path: Path) -> None:
    report.main([str(run), str(shutil.copytree(run, tmp_path / "other")), "--out", str(tmp_path / "both.html")])
    assert (tmp_path / "both.html").read_text().count("data:image/gif;base64,") == 2


def test_the_card_says_how_it_is_used(run: Path) -> None:
    card = (run / "README.md").read_text()
    assert f'textgan.load("{run.name}").grid(64).save("grid.png")' in card


def test_text_options_are_unknown_to_games_of_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no option --data\.max-length"):
        main(["dcgan", "--tiny", "--data.max-length", "5", "--run", str(tmp_path / "r")])
    with pytest.raises(UserError, match="corpus_field is 'text'; this data has no fields"):
        main(["dcgan", "--tiny", "--corpus-field", "text", "--run", str(tmp_path / "r")])
