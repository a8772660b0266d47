"""What is given of an image, and that pairs stay together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from textgan.data.images.domains import UnpairedConfig, open_domains
from textgan.data.images.pairs import PairConfig, hole_of, open_pairs, outline, shrunk, with_hole
from textgan.errors import UserError


def pairs_folder(path: Path, count: int = 60) -> Path:
    """The target is the source, brighter by one."""
    numbers = np.random.default_rng(1)
    for k in range(count):
        source = numbers.integers(0, 255, (4, 4), dtype=np.uint8)
        for side, pixels in (("source", source), ("target", source + 1)):
            (path / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path / side / f"{k:03d}.png")
    return path


def test_pairs_of_a_folder_stay_together(tmp_path: Path) -> None:
    corpus = open_pairs(str(pairs_folder(tmp_path / "p")), PairConfig())
    for split in (corpus.train, corpus.valid, corpus.test):
        source, target = split.pairs()
        assert torch.allclose(target - source, torch.tensor(1 / 127.5), atol=1e-6)
    assert corpus.spec.shape == corpus.spec.source.shape == (1, 4, 4)
    assert sum(len(split) for split in (corpus.train, corpus.valid, corpus.test)) == 60


def test_a_lonely_image_is_named(tmp_path: Path) -> None:
    folder = pairs_folder(tmp_path / "p")
    (folder / "source" / "007.png").unlink()
    with pytest.raises(UserError, match="007 is in one of the folders source and target only"):
        open_pairs(str(folder), PairConfig())


class TestSources:
    def test_an_outline_is_the_slope(self) -> None:
        ramp = torch.linspace(-1, 1, 5).expand(1, 1, 4, 5)
        found = outline(ramp) + 1
        assert torch.allclose(found[..., 1:-1], torch.full((1, 1, 4, 3), 2 * 0.5), atol=1e-5)  # 0.5 a pixel, over two
        assert torch.allclose(outline(torch.full((1, 3, 4, 4), 0.3)), torch.full((1, 1, 4, 4), -1.0), atol=1e-5)

    def test_shrunk_are_means_of_squares(self) -> None:
        images = torch.arange(16.0).view(1, 1, 4, 4)
        assert shrunk(images, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]

    def test_an_odd_size_cannot_be_halved(self) -> None:
        with pytest.raises(UserError, match=r"shrinks by 2, and images have 5 x 4 pixels"):
            shrunk(torch.zeros(1, 1, 4, 5), 2)

    def test_a_hole_is_grey_and_the_rest_is_kept(self) -> None:
        images = torch.rand(2, 3, 8, 6) + 1
        holed = with_hole(images)
        rows, columns = hole_of(8, 6)
        assert (holed[:, :, rows, columns] == 0).all()
        assert (holed == 0).sum() == 2 * 3 * 4 * 3
        assert torch.equal(holed[holed != 0], images[holed != 0])

    @pytest.mark.parametrize(("source", "shape"), [("outline", (1, 8, 8)), ("half", (1, 4, 4)), ("hole", (1, 8, 8))])
    def test_of_the_digits(self, source: str, shape: tuple[int, ...]) -> None:
        corpus = open_pairs("digits", PairConfig(source=source))  # type: ignore[arg-type]
        assert corpus.spec.source.shape == shape
        found = corpus.test.pairs(5)
        assert found.source.shape == (5, *shape)
        assert found.target.shape == (5, 1, 8, 8)


class TestDomains:
    def test_no_image_is_seen_beside_what_is_made_of_it(self) -> None:
        """The first domain shows even places of the split, the second what is made of odd ones."""
        corpus = open_domains("digits", UnpairedConfig(other="negative"))
        batch = corpus.train.take(torch.arange(len(corpus.train)))
        first = {row.numpy().tobytes() for row in batch.a}
        assert not any((-row).numpy().tobytes() in first for row in batch.b)
        assert len({row.numpy().tobytes() for row in batch.b}) > 0.9 * len(batch.b)

    def test_the_truth_is_known_of_held_out_images(self) -> None:
        corpus = open_domains("digits", UnpairedConfig(other="turned"))
        found = corpus.test.pairs(7)
        assert found is not None
        assert torch.equal(torch.rot90(found.source, 1, (2, 3)), found.target)

    def test_flat_images_have_three_tones_and_soft_ones_are_means_of_nine_pixels(self) -> None:
        given, flat = open_domains("digits", UnpairedConfig(other="flat")).test.pairs(7)
        assert flat.unique().tolist() == [-1, 0, 1]
        assert (flat - given).abs().max() <= 0.5
        given, soft = open_domains("digits", UnpairedConfig(other="soft")).test.pairs(7)
        torch.testing.assert_close(soft[:, :, 3, 5], given[:, :, 2:5, 4:7].mean((2, 3)))
        corner = (4 * given[:, :, 0, 0] + 2 * given[:, :, 0, 1] + 2 * given[:, :, 1, 0] + given[:, :, 1, 1]) / 9
        torch.testing.assert_close(soft[:, :, 0, 0], corner)

    def test_two_folders_are_two_domains(self, tmp_path: Path) -> None:
        for side, level in (("a", 10), ("b", 200)):
            (tmp_path / "d" / side).mkdir(parents=True)
            for k in range(40 if side == "a" else 60):
                pixels = np.full((4, 4), level, np.uint8)
                pixels.flat[k % 16] = k
                Image.fromarray(pixels).save(tmp_path / "d" / side / f"{k}.png")
        corpus = open_domains(str(tmp_path / "d"), UnpairedConfig())
        batch = corpus.train.take(torch.arange(len(corpus.train)))
        assert batch.a.mean() < -0.5 < 0.3 < batch.b.mean()
        assert corpus.test.pairs() is None

    def test_domains_of_two_sizes_are_refused(self, tmp_path: Path) -> None:
        folder = pairs_folder(tmp_path / "p")
        with pytest.raises(UserError, match=r"images of \(1, 8, 8\) and \(1, 4, 4\)"):
            open_domains("digits", UnpairedConfig(other=str(folder / "source")))
