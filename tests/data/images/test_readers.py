"""Pictures out of files: what is read, and how every fault is said."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from textgan.data.images import readers
from textgan.errors import UserError


def save(path: Path, pixels: object, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(pixels, dtype=np.uint8))
    (image if mode is None else image.convert(mode)).save(path)
    return path


def test_the_digits_are_levels_of_grey_with_their_names() -> None:
    found = list(readers.digits())
    assert len(found) == 1797
    assert {picture.label for picture in found} == set("0123456789")
    levels = np.unique(np.stack([picture.pixels for picture in found]))
    assert levels.tolist() == [round(255 * k / 16) for k in range(17)]


class TestTable:
    def test_rows_are_pixels_and_a_label(self, tmp_path: Path) -> None:
        with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
            file.write("0,50.0,100,255,7\n1,2,3,4,0\n")
        first, second = readers.table(tmp_path / "a.csv.gz", 2, 2)
        assert first.pixels[:, :, 0].tolist() == [[0, 50], [100, 255]]
        assert (first.label, second.label) == ("7", "0")

    def test_a_row_of_another_length_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("1,2,3,4,0\n1,2,3\n")
        with pytest.raises(UserError, match=r"a\.csv, line 2: 3 numbers; 5 are accepted"):
            list(readers.table(tmp_path / "a.csv", 2, 2))


class TestArray:
    def test_numbers_in_the_unit_interval_become_bytes(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.array([[[0.0, 0.5]], [[1.0, 2.0]], [[0.0, 0.0]]]))
        found = list(readers.array(tmp_path / "a.npy", first=2))
        assert [picture.pixels[0, :, 0].tolist() for picture in found] == [[0, 128], [255, 255]]

    def test_bytes_stay(self, tmp_path: Path) -> None:
        pixels = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
        np.save(tmp_path / "a.npy", pixels)
        assert np.array_equal(np.stack([p.pixels for p in readers.array(tmp_path / "a.npy")]), pixels)

    def test_another_shape_is_refused(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.zeros((3, 4)))
        with pytest.raises(UserError, match=r"shape \(3, 4\)"):
            list(readers.array(tmp_path / "a.npy"))

    def test_what_is_pickled_is_not_opened(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.array([{"a": 1}]), allow_pickle=True)
        with pytest.raises(UserError, match=r"not a \.npy file of numbers"):
            list(readers.array(tmp_path / "a.npy"))


class TestIdx:
    def write(self, folder: Path, images: np.ndarray, labels: list[int]) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "i").write_bytes(struct.pack(">I3I", 0x803, *images.shape) + images.astype(np.uint8).tobytes())
        with gzip.open(folder / "l.gz", "wb") as file:
            file.write(struct.pack(">II", 0x801, len(labels)) + bytes(labels))

    def test_images_and_labels_belong_together(self, tmp_path: Path) -> None:
        images = np.arange(12).reshape(2, 2, 3)
        self.write(tmp_path / "deep", images, [5, 6])
        found = list(readers.idx(tmp_path, ["i"], ["l"]))
        assert [picture.label for picture in found] == ["5", "6"]
        assert np.array_equal(np.stack([p.pixels[:, :, 0] for p in found]), images)

    def test_a_file_cut_off_is_named(self, tmp_path: Path) -> None:
        self.write(tmp_path, np.zeros((2, 2, 2)), [1, 2])
        whole = (tmp_path / "i").read_bytes()
        (tmp_path / "i").write_bytes(whole[:-1])
        with pytest.raises(UserError, match=r"cut off: 23 bytes where its head says \(2, 2, 2\)"):
            list(readers.idx(tmp_path, ["i"], ["l"]))

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"has no file i or i\.gz"):
            list(readers.idx(tmp_path, ["i"], ["l"]))


class TestSheets:
    def test_rows_of_sheets_are_images_with_the_labels_of_all_lists(self, tmp_path: Path) -> None:
        sheets = np.arange(3 * 4 * 3).reshape(3, 4, 3)
        save(tmp_path / "1.png", sheets[:2])
        save(tmp_path / "2.png", sheets[2:])
        (tmp_path / "a.json").write_text(json.dumps([1, 0]))
        (tmp_path / "b.json").write_text(json.dumps([1]))
        found = list(readers.rows_of_sheets(tmp_path, ["1.png", "2.png"], ["a.json", "b.json"], ["cat", "dog"], 2))
        assert [picture.label for picture in found] == ["dog", "cat", "dog"]
        assert np.array_equal(np.stack([p.pixels for p in found]), sheets.reshape(3, 2, 2, 3))

    def test_too_few_labels_are_said(self, tmp_path: Path) -> None:
        save(tmp_path / "1.png", np.zeros((2, 4, 3)))
        (tmp_path / "a.json").write_text("[1]")
        with pytest.raises(UserError, match=r"more images than labels \(1 in a\.json\)"):
            list(readers.rows_of_sheets(tmp_path, ["1.png"], ["a.json"], ["cat", "dog"], 2))


class TestJson:
    def test_a_file_a_kind_and_empty_lists_passed_over(self, tmp_path: Path) -> None:
        for k, rows in enumerate([[[1, 2]], [[], [3, 4], [5, 6]]]):
            (tmp_path / f"{k}.json").write_text(json.dumps({"data": rows}))
        found = list(readers.json_rows(tmp_path, "?.json", "data", 1, 2, ["cat", "dog"]))
        assert [(p.label, p.pixels.flatten().tolist()) for p in found] == [
            ("cat", [1, 2]),
            ("dog", [3, 4]),
            ("dog", [5, 6]),
        ]

    def test_an_image_of_another_size_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "0.json").write_text('{"data": [[1]]}')
        with pytest.raises(UserError, match="an image of 1 numbers; 2 are accepted"):
            list(readers.json_rows(tmp_path, "?.json", "data", 1, 2, ["cat"]))


class TestFolder:
    def test_folders_in_it_are_labels(self, tmp_path: Path) -> None:
        save(tmp_path / "b" / "1.png", [[1, 2], [3, 4]])
        save(tmp_path / "a" / "2.bmp", [[[9, 8, 7]]])
        save(tmp_path / "0.png", [[5]])
        (tmp_path / "notes.txt").write_text("not an image")
        found = [(p.label, p.pixels.tolist()) for p in readers.folder_of_images(tmp_path)]
        assert found == [("", [[[5]]]), ("a", [[[9, 8, 7]]]), ("b", [[[1], [2]], [[3], [4]]])]

    def test_a_folder_without_images_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="has no images"):
            readers.image_files(tmp_path)


class TestOpenImage:
    def test_what_is_transparent_is_white(self, tmp_path: Path) -> None:
        Image.fromarray(np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], dtype=np.uint8)).save(tmp_path / "a.png")
        assert readers.open_image(tmp_path / "a.png").tolist() == [[[10, 20, 30], [255, 255, 255]]]

    def test_a_palette_is_colour_and_one_bit_is_grey(self, tmp_path: Path) -> None:
        save(tmp_path / "p.png", [[[255, 0, 0], [0, 0, 255]]], "P")
        save(tmp_path / "b.png", [[255, 0]], "1")
        assert readers.open_image(tmp_path / "p.png").shape == (1, 2, 3)
        assert readers.open_image(tmp_path / "b.png").tolist() == [[[255], [0]]]

    def test_sixteen_bits_keep_their_order(self, tmp_path: Path) -> None:
        Image.fromarray(np.array([[0, 1000, 2000]], dtype=np.uint16)).save(tmp_path / "a.png")
        assert readers.open_image(tmp_path / "a.png")[0, :, 0].tolist() == [0, 128, 255]

    @pytest.mark.parametrize("content", [b"no image at all", b"\x89PNG\r\n\x1a\n"])
    def test_a_broken_file_is_named(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(UserError, match=r"a\.png cannot be read as an image"):
            readers.open_image(tmp_path / "a.png")

    def test_an_image_that_is_too_large_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(readers, "MOST_PIXELS", 3)
        save(tmp_path / "a.png", [[1, 2], [3, 4]])
        with pytest.raises(UserError, match=r"has 2 x 2 pixels; at most 3 are accepted"):
            readers.open_image(tmp_path / "a.png")
