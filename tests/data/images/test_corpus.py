"""Images on their way into splits, and out of them again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from textgan.data.images.corpus import ImageCorpus, open_images
from textgan.data.images.preparation import fitted
from textgan.data.images.settings import ImageConfig
from textgan.errors import UserError


def folder_of(path: Path, count: int = 60, size: tuple[int, int] = (4, 4), kinds: tuple[str, ...] = ("", "")) -> Path:
    """Different images; the k-th is in the folder `kinds[k % 2]`."""
    numbers = np.random.default_rng(0)
    for k in range(count):
        place = path / kinds[k % len(kinds)]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(numbers.integers(0, 256, size, dtype=np.uint8)).save(place / f"{k:03d}.png")
    return path


@pytest.fixture(scope="module")
def labelled(cache: None, tmp_path_factory: pytest.TempPathFactory) -> ImageCorpus:
    folder = folder_of(tmp_path_factory.mktemp("images") / "shapes", 90, kinds=("round", "square"))
    return open_images(str(folder), ImageConfig(), labelled=True)


def test_every_image_is_in_one_split_with_its_category(labelled: ImageCorpus) -> None:
    assert labelled.spec.categories == ("round", "square")
    splits = [labelled.train, labelled.valid, labelled.test]
    assert sum(map(len, splits)) == 90
    images = torch.cat([split.images() for split in splits])
    assert len(torch.unique(images.flatten(1), dim=0)) == 90
    counts = np.sum([np.bincount(split.categories().numpy(), minlength=2) for split in splits], axis=0)
    assert counts.tolist() == [45, 45]
    assert [sum(ns) for ns in labelled.report.categories.values()] == [45, 45]


def test_numbers_are_bytes_between_minus_one_and_one(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images")
    corpus = open_images(str(folder), ImageConfig(), labelled=False)
    stored = {Image.open(file).tobytes() for file in folder.glob("*.png")}
    found = ((corpus.train.images() + 1) * 127.5).round().to(torch.uint8)
    assert all(bytes(image.flatten().tolist()) in stored for image in found)
    assert corpus.spec.shape == (1, 4, 4)
    assert torch.equal(corpus.train.take(torch.tensor([2, 0])), corpus.train.images()[[2, 0]])


def test_images_are_taken_with_their_own_category(labelled: ImageCorpus) -> None:
    batch = labelled.train.take(torch.tensor([3, 1, 3]))  # type: ignore[arg-type]
    assert torch.equal(batch.category, labelled.train.categories()[[3, 1, 3]])  # type: ignore[attr-defined]
    assert torch.equal(batch.image, labelled.train.images()[[3, 1, 3]])  # type: ignore[attr-defined]


def test_equal_images_share_a_split_and_are_held_out_once(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images")
    for file in sorted(folder.glob("*.png")):
        (folder / f"again-{file.name}").write_bytes(file.read_bytes())
    corpus = open_images(str(folder), ImageConfig(), labelled=False)
    train, valid, test = (corpus.train.images(), corpus.valid.images(), corpus.test.images())
    held_out = torch.cat([valid, test]).flatten(1)
    assert len(torch.unique(held_out, dim=0)) == len(held_out)
    assert not any((train.flatten(1) == row).all(1).any() for row in held_out)
    assert corpus.report.train_duplicates == len(train) // 2
    assert corpus.report.held_out_duplicates == len(held_out)


def test_another_corpus_may_be_held_out(tmp_path: Path) -> None:
    first = folder_of(tmp_path / "a", 20)
    second = folder_of(tmp_path / "b", 60)  # its first twenty are the images of a
    corpus = open_images(str(first), ImageConfig(held_out=str(second), valid=0.5, test=0.5), labelled=False)
    assert len(corpus.train) == 20
    assert len(corpus.valid) + len(corpus.test) == 40
    assert corpus.report.held_out_duplicates == 20


def test_a_limit_takes_of_each_category_in_turn(labelled: ImageCorpus, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 90, kinds=("round", "square"))
    corpus = open_images(str(folder), ImageConfig(limit=40, valid=0.3, test=0.3), labelled=True)
    assert [sum(ns) for ns in corpus.report.categories.values()] == [20, 20]


class TestFitted:
    def test_the_square_in_the_middle_is_resampled(self) -> None:
        pixels = np.zeros((4, 8, 1), dtype=np.uint8)
        pixels[:, 2:6] = 200
        assert fitted(pixels, 2, 1).tolist() == [[[200, 200], [200, 200]]]

    def test_grey_becomes_colour_and_colour_grey(self) -> None:
        grey = np.array([[[7]]], dtype=np.uint8)
        assert fitted(grey, None, 3).tolist() == [[[7]], [[7]], [[7]]]
        red = np.array([[[255, 0, 0]]], dtype=np.uint8)
        assert fitted(red, None, 1).tolist() == [[[76]]]  # 0.299 of 255

    def test_channels_come_first(self) -> None:
        pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
        assert np.array_equal(fitted(pixels, None, 3), pixels.transpose(2, 0, 1))


def mixed_sizes(path: Path) -> Path:
    folder_of(path, 3)
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(path / "z.png")
    return path


def test_images_of_two_sizes_are_refused_until_a_size_is_given(tmp_path: Path) -> None:
    folder = mixed_sizes(folder_of(tmp_path / "images"))
    with pytest.raises(UserError, match=r"image 61 has 5 x 5 pixels, those before it 4 x 4; give data\.size"):
        open_images(str(folder), ImageConfig(), labelled=False)
    assert open_images(str(folder), ImageConfig(size=3), labelled=False).spec.shape == (1, 3, 3)


def test_no_labels_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no labels"):
        open_images(str(folder_of(tmp_path / "images")), ImageConfig(), labelled=True)


def test_too_few_images_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no image for split '\w+': of 2 read"):
        open_images(str(folder_of(tmp_path / "images", 2)), ImageConfig(), labelled=False)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digitz", "did you mean 'digits'"),
        ("bbe", "corpus 'bbe' has no images"),
        ("digits:a", "takes no file"),
        ("mnist", "needs your file: mnist:PATH"),
    ],
)
def test_a_spec_that_is_none_is_said(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_images(spec, ImageConfig(), labelled=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 1}, r"data\.size is 1"),
        ({"channels": 2}, r"data\.channels is 2; it must be 1 or 3"),
        ({"valid": 1.0}, r"data\.valid is 1\.0"),
        ({"limit": 0}, r"data\.limit is 0"),
    ],
)
def test_options_out_of_range_are_said(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ImageConfig(**options)


def test_the_embedded_digits_are_what_their_card_says() -> None:
    corpus = open_images("digits", ImageConfig(), labelled=True)
    assert corpus.spec.shape == (1, 8, 8)
    assert corpus.spec.categories == tuple("0123456789")
    assert corpus.report.images == 1797
    assert corpus.signature == "images.1x8x8"
