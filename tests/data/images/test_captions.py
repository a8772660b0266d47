"""What is said of an image, and that captions stay with their images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from textgan.data.images.captions import LONGEST, CaptionedCorpus, Describer, ink, open_captioned
from textgan.data.images.corpus import open_images
from textgan.data.images.settings import ImageConfig
from textgan.errors import UserError

SPLITS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def digits(cache: None) -> CaptionedCorpus:
    return open_captioned("digits", ImageConfig(limit=600))


def folder_of(path: Path, captions: Sequence[str]) -> Path:
    """An image a caption; no two are alike, and the i-th has the level of grey i."""
    path.mkdir()
    for i, caption in enumerate(captions):
        Image.fromarray(np.full((4, 4), i, dtype=np.uint8)).save(path / f"{i:03d}.png")
        (path / f"{i:03d}.txt").write_text(caption, encoding="utf-8")
    return path


def said(corpus: CaptionedCorpus, captions: Tensor) -> list[str]:
    return [corpus.tokenizer.decode(row) for row in captions.tolist()]


class TestInk:
    def test_it_is_light_and_the_deviations_of_its_columns_and_rows(self) -> None:
        image = torch.full((1, 1, 5, 7), -1.0)
        image[0, 0, 1, 2] = image[0, 0, 1, 6] = 1  # two points, four columns apart, in one row
        assert torch.allclose(ink(image), torch.tensor([[2.0, 2.0, 0.0]]), atol=1e-6)
        assert torch.allclose(ink(image.mT), torch.tensor([[2.0, 0.0, 2.0]]), atol=1e-6)

    def test_what_is_brighter_weighs_more(self) -> None:
        image = torch.full((1, 1, 1, 2), 1.0)
        image[..., 1] = 0  # 1 and a half: the second column has a third of the light
        assert torch.allclose(ink(image), torch.tensor([[1.5, (1 / 3 * 2 / 3) ** 0.5, 0.0]]), atol=1e-6)

    def test_black_is_no_division_by_zero(self) -> None:
        assert torch.allclose(ink(torch.full((1, 3, 4, 4), -1.0)), torch.zeros(1, 3), atol=1e-5)


class TestDescribed:
    def test_every_image_is_told_against_the_median_training_image(self, digits: CaptionedCorpus) -> None:
        """Half of the training images are bold, half are wide, half are tall; and the words are those of the image."""
        image, caption = digits.train.pairs()
        texts = [text.split() for text in said(digits, caption)]
        for k, word in enumerate(("bold", "wide", "tall")):
            by_word = torch.tensor([word in text for text in texts])
            assert by_word.float().mean().item() == pytest.approx(0.5, abs=0.01)
            assert ink(image)[by_word, k].min() > ink(image)[~by_word, k].max()

    def test_medians_are_those_of_the_training_images_in_every_split(self, digits: CaptionedCorpus) -> None:
        image, caption = digits.test.pairs()
        words = Describer(digits.images.train).words(image)
        for row, text in zip(words.tolist(), said(digits, caption), strict=True):
            pairs = (("thin", "bold"), ("narrow", "wide"), ("short", "tall"))
            assert text.split()[1:4] == [pair[k] for pair, k in zip(pairs, row, strict=True)]

    def test_the_last_word_is_the_category_of_the_same_image(self, digits: CaptionedCorpus) -> None:
        numbers = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        plain = open_images("digits", ImageConfig(limit=600), labelled=True)
        for split in SPLITS:
            found, images = getattr(digits, split), getattr(plain, split)
            places = torch.arange(len(found)).flip(0)
            image, caption = found.take(places)
            assert torch.equal(image, images.take(places).image)
            named = [text.split()[-1] for text in said(digits, caption)]
            assert named == [numbers[k] for k in images.categories()[places].tolist()]

    def test_equal_images_have_equal_captions(self, digits: CaptionedCorpus) -> None:
        again = open_captioned("digits", ImageConfig(limit=600))
        assert torch.equal(again.train.pairs().caption, digits.train.pairs().caption)
        places = torch.tensor([5, 3, 5])
        caption = digits.train.take(places).caption
        assert torch.equal(caption[0], caption[2])
        assert not torch.equal(caption[0], caption[1])

    def test_rows_are_ended_and_padded_and_the_spec_counts_them(self, digits: CaptionedCorpus) -> None:
        caption = digits.valid.pairs().caption
        assert caption.shape[1] == digits.spec.length == 6  # "a bold wide tall seven" and the end
        assert caption[:, -1].unique().tolist() == [2]
        assert int(caption.max()) < digits.spec.vocab_size
        assert digits.spec.vocab_size == digits.tokenizer.size
        assert digits.spec.categories == tuple("0123456789")


class TestFolder:
    CAPTIONS = tuple(f"a {'dark' if i < 30 else 'light'} square of grey number {i}" for i in range(60))

    def test_every_image_keeps_its_caption_and_captions_need_not_come_twice(self, tmp_path: Path) -> None:
        corpus = open_captioned(str(folder_of(tmp_path / "greys", self.CAPTIONS)), ImageConfig())
        assert sum(len(getattr(corpus, split)) for split in SPLITS) == 60
        image, caption = corpus.train.pairs()
        levels = ((image[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()
        assert said(corpus, caption) == [self.CAPTIONS[level] for level in levels]
        assert corpus.spec.categories == corpus.images.spec.categories == ()
        assert corpus.report.categories == {}

    def test_words_that_are_not_in_training_captions_are_unknown(self, tmp_path: Path) -> None:
        corpus = open_captioned(str(folder_of(tmp_path / "greys", self.CAPTIONS)), ImageConfig())
        level = int(((corpus.test.pairs(1).image[0, 0, 0, 0] + 1) * 127.5).round())
        text = said(corpus, corpus.test.pairs(1).caption)[0]
        assert text.split()[:-1] == self.CAPTIONS[level].split()[:-1]
        assert text.split()[-1] != str(level)

    def test_a_long_caption_is_cut(self, tmp_path: Path) -> None:
        captions = [f"{i} " + "very " * 100 + "grey" for i in range(60)]
        corpus = open_captioned(str(folder_of(tmp_path / "greys", captions)), ImageConfig())
        assert corpus.spec.length == LONGEST + 1
        assert corpus.train.pairs().caption[:, -1].unique().tolist() == [2]

    def test_an_image_without_a_caption_is_named(self, tmp_path: Path) -> None:
        folder = folder_of(tmp_path / "greys", self.CAPTIONS)
        (folder / "007.txt").unlink()
        with pytest.raises(UserError, match=r"007\.txt"):
            open_captioned(str(folder), ImageConfig())

    def test_captions_that_say_nothing_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="all equal, or an empty one"):
            open_captioned(str(folder_of(tmp_path / "same", ["grey"] * 60)), ImageConfig())
        with pytest.raises(UserError, match="all equal, or an empty one"):
            open_captioned(str(folder_of(tmp_path / "empty", [*self.CAPTIONS[:59], " "])), ImageConfig())

    def test_another_corpus_cannot_be_held_out(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"data\.held_out is 'digits'"):
            open_captioned(str(folder_of(tmp_path / "greys", self.CAPTIONS)), ImageConfig(held_out="digits"))


def test_images_without_categories_and_captions_cannot_be_described(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "greys", ["x"] * 60)
    for file in folder.glob("*.txt"):
        file.unlink()
    with pytest.raises(UserError, match="categories"):
        open_captioned(str(folder), ImageConfig())
