"""Ornaments: colours that a program gives to white characters on black, so that the truth is known for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

OrnamentName = Literal["gradient", "outline", "shadow"]
"""gradient: yellow at the top, red at the bottom. outline: the same, within blue. shadow: the same, with green to the
right and below."""
TOP, BOTTOM = (1.0, 0.9, 0.1), (0.9, 0.1, 0.2)
BEHIND: Mapping[str, tuple[float, float, float]] = {"outline": (0.1, 0.3, 1.0), "shadow": (0.0, 0.5, 0.3)}
"""Red, green and blue, in [0, 1], of what is behind a character."""


def ornamented(glyphs: Float[Tensor, "n 1 height width"], ornament: OrnamentName) -> Float[Tensor, "n 3 height width"]:
    """Characters in colour, in [-1, 1], on black. How much light a pixel has is how much of it a character covers."""
    cover = (glyphs + 1) / 2
    height = glyphs.shape[2]
    down = torch.linspace(0, 1, height, device=glyphs.device)[:, None]
    top, bottom = (_colour(rgb, glyphs) for rgb in (TOP, BOTTOM))
    light = cover * torch.lerp(top, bottom, down)
    if ornament in BEHIND:
        light = light + (1 - cover) * _behind(cover, ornament) * _colour(BEHIND[ornament], glyphs)
    return 2 * light - 1


def _behind(cover: Tensor, ornament: OrnamentName) -> Tensor:
    """What is behind characters, as they cover it: grown by a pixel to all sides, or moved by a sixteenth of a side."""
    if ornament == "outline":
        return F.max_pool2d(cover, 3, stride=1, padding=1)
    step = max(1, cover.shape[2] // 16)
    return F.pad(cover, (step, 0, step, 0))[:, :, : cover.shape[2], : cover.shape[3]]


def _colour(rgb: tuple[float, float, float], like: Tensor) -> Tensor:
    return like.new_tensor(rgb)[:, None, None]
