"""Colours that a program gives to characters."""

from __future__ import annotations

import pytest
import torch

from textgan.data.images.ornaments import BEHIND, BOTTOM, TOP, ornamented


def glyph() -> torch.Tensor:
    """A bar of three rows and two columns, the last row half covered, in 16 x 16."""
    found = torch.full((1, 1, 16, 16), -1.0)
    found[..., 4:6, 6:8] = 1
    found[..., 6, 6:8] = 0
    return found


@pytest.mark.parametrize("ornament", ["gradient", "outline", "shadow"])
def test_a_characters_colour_goes_from_top_to_bottom_and_the_ground_is_black(ornament: str) -> None:
    light = (ornamented(glyph(), ornament) + 1) / 2  # type: ignore[arg-type]
    assert light.shape == (1, 3, 16, 16)
    assert light.min() >= 0
    assert light.max() <= 1
    for row in (4, 5):
        expected = [a + (b - a) * row / 15 for a, b in zip(TOP, BOTTOM, strict=True)]
        assert torch.allclose(light[0, :, row, 6], torch.tensor(expected), atol=1e-6)
    assert light[:, :, :3].max() < 1e-6
    assert light[:, :, 9:].max() < 1e-6
    nothing = ornamented(torch.full((1, 1, 16, 16), -1.0), ornament)  # type: ignore[arg-type]
    assert torch.allclose(nothing, torch.full((1, 3, 16, 16), -1.0), atol=1e-6)


def where_light(ornament: str) -> set[tuple[int, int]]:
    light = ornamented(glyph(), ornament)[0].amax(0) > -0.999  # type: ignore[arg-type]
    return {(int(y), int(x)) for y, x in light.nonzero()}


def test_an_outline_is_a_pixel_all_around_and_a_shadow_a_pixel_to_the_right_and_below() -> None:
    bar = {(y, x) for y in (4, 5, 6) for x in (6, 7)}
    assert where_light("gradient") == bar
    assert where_light("outline") == {(y + i, x + j) for y, x in bar for i in (-1, 0, 1) for j in (-1, 0, 1)}
    assert where_light("shadow") == bar | {(y + 1, x + 1) for y, x in bar}


def test_what_is_behind_has_its_own_colour_and_shows_through_as_much_as_is_not_covered() -> None:
    for ornament, place in (("outline", (3, 5)), ("shadow", (6, 8))):
        light = (ornamented(glyph(), ornament)[0] + 1) / 2  # type: ignore[arg-type]
        assert torch.allclose(light[:, *place], torch.tensor(BEHIND[ornament]), atol=1e-6)
    half = (ornamented(glyph(), "outline")[0, :, 6, 6] + 1) / 2
    front = torch.tensor([a + (b - a) * 6 / 15 for a, b in zip(TOP, BOTTOM, strict=True)])
    assert torch.allclose(half, 0.5 * front + 0.5 * torch.tensor(BEHIND["outline"]), atol=1e-6)
