"""Sheets of images, pixel by pixel."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from textgan.film import MOST_FRAMES, film
from textgan.pictures import GAP, as_images, as_pixels, grid, png


def test_numbers_become_bytes_and_are_cut_off() -> None:
    levels = torch.tensor([-1.0, 0.0, 1.0, -3.0, 3.0]).view(1, 1, 5)
    assert as_pixels(levels)[:, :, 0].tolist() == [[0, 128, 255, 0, 255]]


def test_a_sheet_has_images_row_by_row_in_white_frames() -> None:
    images = torch.linspace(-1, 0.5, 3).view(3, 1, 1, 1).expand(3, 1, 60, 50)
    sheet = np.asarray(grid(images, 2))
    assert sheet.shape == (2 * (60 + GAP) + GAP, 2 * (50 + GAP) + GAP)
    top, left = GAP, GAP
    assert (sheet[top : top + 60, left : left + 50] == 0).all()
    assert (sheet[top : top + 60, left + 50 + GAP : left + 100 + GAP] == 96).all()
    assert (sheet[top + 60 + GAP : top + 120 + GAP, left : left + 50] == 191).all()
    assert (sheet[top + 60 + GAP :, left + 50 + GAP :] == 255).all()  # there is no fourth
    assert (sheet[:GAP] == 255).all()


def test_small_images_are_enlarged_without_smoothing() -> None:
    sheet = np.asarray(grid(torch.tensor([[[[-1.0, 1.0]]]])))
    assert set(np.unique(sheet)) == {0, 255}
    assert sheet.shape == (24 + 2 * GAP, 48 + 2 * GAP)


def test_colours_stay() -> None:
    images = torch.tensor([1.0, -1, -1]).view(1, 3, 1, 1).expand(2, 3, 50, 50)
    assert np.asarray(grid(images))[10, 10].tolist() == [255, 0, 0]
    assert as_images(images)[1].getpixel((3, 3)) == (255, 0, 0)


def test_a_film_has_all_frames_and_stays_on_the_last() -> None:
    frames = [png(grid(torch.full((1, 1, 8, 8), level))) for level in (-1.0, 0.0, 1.0)]
    shown = Image.open(io.BytesIO(film(frames)))
    assert shown.n_frames == 3
    levels, times = [], []
    for i in range(3):
        shown.seek(i)
        times.append(shown.info["duration"])
        levels.append(shown.convert("L").getpixel((10, 10)))
    assert levels == [0, 128, 255]
    assert times[2] > times[0] == times[1]


def test_a_long_film_is_thinned_and_ends_with_the_last_frame() -> None:
    frames = [png(grid(torch.full((1, 1, 8, 8), k / 50 - 1))) for k in range(101)]
    shown = Image.open(io.BytesIO(film(frames)))
    assert shown.n_frames == MOST_FRAMES
    shown.seek(MOST_FRAMES - 1)
    assert shown.convert("L").getpixel((10, 10)) == 255
