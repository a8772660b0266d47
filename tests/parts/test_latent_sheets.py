"""Reconstructions and arithmetic, to look at."""

from __future__ import annotations

import pytest
import torch

from textgan.parts.latent_sheets import ATTRIBUTES, SHOWN, arithmetic_sheet, attribute_codes, reconstruction_sheet
from textgan.reproducibility import seed_everything


def _bar(top: int, bottom: int, left: int, right: int, light: float = 1.0) -> torch.Tensor:
    image = torch.full((1, 8, 8), -1.0)
    image[:, top:bottom, left:right] = light
    return image


@pytest.mark.parametrize(
    ("name", "more", "less"),
    [
        ("light", _bar(0, 8, 0, 4), _bar(0, 8, 0, 3)),
        ("contrast", _bar(0, 8, 0, 4), _bar(0, 8, 0, 4, light=0.0)),
        ("light on the left", _bar(0, 8, 0, 4), _bar(0, 8, 4, 8)),
        ("light above", _bar(0, 4, 0, 8), _bar(4, 8, 0, 8)),
        ("wide", _bar(3, 5, 1, 7), _bar(3, 5, 2, 6)),
    ],
)
def test_attributes_are_what_they_are_called(name, more, less):
    of_more, of_less = ATTRIBUTES[name](torch.stack([more, less]))
    assert of_more > of_less + 0.05


def test_how_wide_an_image_is_does_not_depend_on_its_light_or_place():
    same = torch.stack([_bar(3, 5, 1, 5), _bar(2, 6, 1, 5), _bar(3, 5, 3, 7), _bar(3, 5, 1, 5, light=0.0)])
    widths = ATTRIBUTES["wide"](same)
    torch.testing.assert_close(widths, torch.full((4,), (5 / 4) ** 0.5), atol=1e-3, rtol=0)


def test_odd_and_coloured_images_have_attributes():
    seed_everything(0)
    images = torch.rand(6, 3, 7, 5) * 2 - 1
    assert all(ATTRIBUTES[name](images).shape == (6,) for name in ATTRIBUTES)


def test_codes_of_an_attribute_are_means_of_the_quarters_with_most_and_least():
    images = torch.linspace(-1, 1, 8)[torch.tensor([3, 0, 7, 1, 5, 6, 2, 4])][:, None, None, None].expand(8, 1, 4, 4)
    codes = images[:, 0, 0, :2] * torch.tensor([1.0, 10.0])
    most, least = attribute_codes(images, codes, "light")
    high, low = (1 + 5 / 7) / 2, (-1 - 5 / 7) / 2
    torch.testing.assert_close(most, torch.tensor([high, 10 * high]))
    torch.testing.assert_close(least, torch.tensor([low, 10 * low]))


def test_arithmetic_adds_the_difference_of_the_means_to_an_image_that_has_little():
    """With a decoder that paints its one number, every column is known."""
    seed_everything(0)
    levels = torch.rand(16) - 0.5
    images = levels[:, None, None, None].expand(16, 1, 4, 4)
    sheet = arithmetic_sheet(images, levels[:, None], lambda z: z[:, :, None, None].expand(-1, 1, 4, 4))
    assert sheet.shape == (SHOWN * len(ATTRIBUTES), 8, 1, 4, 4)
    ordered = levels.sort().values
    high, low, c = ordered[-4:].mean(), ordered[:4].mean(), ordered[1]
    expected = torch.stack([high, low, c, *(c + step * (high - low) for step in (0, 0.5, 1, 1.5, 2))])
    torch.testing.assert_close(sheet[1, :, 0, 0, 0], expected)  # the second darkest image gets light


def test_every_reconstruction_stands_under_its_image():
    images = torch.arange(20.0)[:, None, None, None].expand(20, 1, 2, 2)
    sheet = reconstruction_sheet(images, images + 0.5)[..., 0, 0, 0]
    assert sheet.shape == (4, 8)
    assert sheet[0].tolist() == list(range(8))
    assert sheet[2].tolist() == list(range(8, 16))
    assert torch.equal(sheet[1::2], sheet[::2] + 0.5)


def test_few_images_make_a_small_sheet():
    assert reconstruction_sheet(torch.zeros(3, 1, 2, 2), torch.zeros(3, 1, 2, 2)).shape == (2, 3, 1, 2, 2)
