"""Characters of fonts: what is drawn, what is held out, what is left out."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from textgan.data.images.glyphs import CHARACTERS, GlyphConfig, draw_font, open_alphabets, open_glyphs
from textgan.errors import UserError

SPLITS = ("train", "valid", "test")
SIX = GlyphConfig(size=12, characters="ABCDEF")


def fonts(folder: Path, *names: str) -> Path:
    """Some fonts that come with matplotlib, in a folder of their own."""
    spec = find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    folder.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf", folder)
    return folder


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fonts(tmp_path_factory.mktemp("fonts"), "DejaVuSans", "DejaVuSerif", "cmr10", "STIXGeneral")


@pytest.fixture(scope="module")
def serif(four: Path) -> np.ndarray:
    found = draw_font(four / "DejaVuSerif.ttf", "ABCDEFGHIJ", 16)
    assert found is not None
    return found


def bytes_of(images: Tensor) -> list[bytes]:
    return [((image + 1) * 127.5).round().to(torch.uint8).numpy().tobytes() for image in images]


class TestDrawing:
    def test_characters_are_white_on_black_inside_the_image_and_differ(self, serif: np.ndarray) -> None:
        assert serif.shape == (10, 1, 16, 16)
        assert serif.min() == 0
        assert serif.max(axis=(1, 2, 3)).min() > 200
        assert len({glyph.tobytes() for glyph in serif}) == 10
        corners = serif[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
        assert corners.max() == 0

    def test_they_stand_on_one_line_and_in_the_middle(self, serif: np.ndarray) -> None:
        lowest = [int(np.nonzero(glyph[0].max(1) > 100)[0].max()) for glyph in serif[[0, 1, 3, 4, 7]]]  # A B D E H
        assert len(set(lowest)) == 1
        middle = [(glyph[0].sum(0) * np.arange(16)).sum() / glyph[0].sum() for glyph in serif[[0, 7, 8]]]  # A H I
        assert np.allclose(middle, 7.5, atol=0.8)

    def test_a_bold_face_has_more_ink(self, tmp_path: Path) -> None:
        folder = fonts(tmp_path, "DejaVuSans", "DejaVuSans-Bold")
        plain, bold = (draw_font(folder / f"{name}.ttf", "AHO", 16) for name in ("DejaVuSans", "DejaVuSans-Bold"))
        assert plain is not None
        assert bold is not None
        assert (bold.sum((1, 2, 3)) > 1.2 * plain.sum((1, 2, 3))).all()

    def test_a_font_that_lacks_a_character_is_none(self, four: Path) -> None:
        assert draw_font(four / "cmr10.ttf", "ABC", 16) is not None
        assert draw_font(four / "cmr10.ttf", "ABЖ", 16) is None
        assert draw_font(four / "DejaVuSans.ttf", "ABЖ", 16) is not None

    def test_what_is_no_font_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "x.ttf").write_text("no font")
        with pytest.raises(UserError, match=r"x\.ttf is not a font that can be read"):
            draw_font(tmp_path / "x.ttf", "ABC", 16)


class TestPairs:
    def test_a_held_out_character_is_in_no_training_pair_of_any_style(self, four: Path) -> None:
        corpus = open_glyphs(str(four), GlyphConfig(size=24))
        source = {split: set(bytes_of(getattr(corpus, split).pairs().source)) for split in SPLITS}
        drawn = draw_font(four / "DejaVuSans.ttf", CHARACTERS, 24)
        assert drawn is not None
        assert set.union(*source.values()) == {glyph.tobytes() for glyph in drawn}
        assert not source["train"] & (source["valid"] | source["test"])
        assert not source["valid"] & source["test"]
        assert {split: len(found) for split, found in source.items()} == {"train": 44, "valid": 6, "test": 12}
        for split in SPLITS:
            assert len(getattr(corpus, split)) == 3 * len(source[split])

    def test_source_and_target_are_the_same_character_and_the_target_has_the_style(self, four: Path) -> None:
        corpus = open_glyphs(str(four), SIX)
        assert corpus.spec.styles == ("DejaVuSerif", "STIXGeneral", "cmr10")  # DejaVuSans, the first, is the source
        place = {}
        for name in ("DejaVuSans", *corpus.spec.styles):
            drawn = draw_font(four / f"{name}.ttf", "ABCDEF", 12)
            assert drawn is not None
            place |= {(name, glyph.tobytes()): k for k, glyph in enumerate(drawn)}
        for split in SPLITS:
            source, target, style = getattr(corpus, split).pairs()
            characters = [place["DejaVuSans", glyph] for glyph in bytes_of(source)]
            names = [corpus.spec.styles[k] for k in style.tolist()]
            assert [place[pair] for pair in zip(names, bytes_of(target), strict=True)] == characters

    def test_another_source_can_be_named(self, four: Path) -> None:
        corpus = open_glyphs(str(four), GlyphConfig(size=12, characters="ABCDEF", source="cmr10"))
        assert corpus.spec.styles == ("DejaVuSans", "DejaVuSerif", "STIXGeneral")
        drawn = draw_font(four / "cmr10.ttf", "ABCDEF", 12)
        assert drawn is not None
        assert set(bytes_of(corpus.train.pairs().source)) < {glyph.tobytes() for glyph in drawn}
        with pytest.raises(UserError, match=r"data.source is 'Times'; it must be one of the fonts DejaVuSans, "):
            open_glyphs(str(four), GlyphConfig(source="Times"))

    def test_a_font_that_lacks_a_character_is_left_out_and_counted(self, four: Path) -> None:
        corpus = open_glyphs(str(four), GlyphConfig(size=12, characters="ABCDEЖ"))
        assert corpus.report.fonts == ("DejaVuSans", "DejaVuSerif", "STIXGeneral")
        assert corpus.report.left_out == 1

    def test_the_same_fonts_give_the_same_splits(self, four: Path) -> None:
        first, second = (open_glyphs(str(four), SIX).train.pairs() for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


class TestAlphabets:
    def test_a_held_out_font_is_in_no_training_alphabet(self, four: Path) -> None:
        corpus = open_alphabets(str(four), SIX)
        assert {split: len(getattr(corpus, split)) for split in SPLITS} == {"train": 2, "valid": 1, "test": 1}
        place = 0
        for split in SPLITS:
            found = getattr(corpus, split).take(torch.arange(len(getattr(corpus, split))))
            for glyphs, style in zip(found.glyphs, found.style.tolist(), strict=True):
                drawn = draw_font(four / f"{corpus.report.fonts[style]}.ttf", "ABCDEF", 12)
                assert drawn is not None
                assert bytes_of(glyphs) == [glyph.tobytes() for glyph in drawn]
                assert style == place
                place += 1
        assert sorted(corpus.report.fonts) == ["DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmr10"]

    def test_the_spec_has_a_channel_a_character(self, four: Path) -> None:
        corpus = open_alphabets(str(four), SIX)
        assert corpus.spec.shape == (6, 12, 12)
        assert corpus.spec.characters == "ABCDEF"
        assert open_alphabets(str(four), GlyphConfig(size=12)).spec.channels == 26


class TestErrors:
    def test_two_fonts_are_too_few(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="has 2 fonts, of which 2 have all characters; three are needed"):
            open_glyphs(str(fonts(tmp_path / "f", "DejaVuSans", "cmr10")), SIX)

    def test_a_folder_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="is not a folder of fonts"):
            open_glyphs(str(tmp_path / "x.y"), SIX)

    def test_a_corpus_without_fonts(self) -> None:
        with pytest.raises(UserError, match="corpus 'digits' has no fonts"):
            open_alphabets("digits", SIX)

    def test_nothing_left_to_train_on(self, four: Path) -> None:
        with pytest.raises(UserError, match="none to train on"):
            open_alphabets(str(four), GlyphConfig(size=12, characters="ABCDEF", valid=0.5, test=0.5))

    @pytest.mark.parametrize("characters", ["ABCDE", "AABCDEF"])
    def test_characters_must_be_six_different_ones(self, characters: str) -> None:
        """A character that came twice could be held out and trained on."""
        with pytest.raises(UserError, match="six characters or more, all different"):
            GlyphConfig(characters=characters)
