"""Images to look at: sheets of them."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

LEAST_SIDE = 48
"""Pixels that an image has on a sheet at least: smaller ones are enlarged, without smoothing."""
GAP = 2
PAPER = 1.0
"""White."""


def as_pixels(images: Float[Tensor, "*n channels height width"]) -> UInt8[np.ndarray, "*n height width channels"]:
    """Numbers in [-1, 1] as bytes; what lies outside is cut off."""
    levels = ((images.detach().cpu().float().clamp(-1, 1) + 1) * 127.5).round()
    return levels.movedim(-3, -1).numpy().astype(np.uint8)


def grid(images: Float[Tensor, "n channels height width"], columns: int | None = None) -> Image.Image:
    """Images in rows, on white. `columns`: as many in a row; None makes a square, or as near to one as there is."""
    n, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    factor = max(1, math.ceil(LEAST_SIDE / max(height, width)))
    large = F.interpolate(images.detach().cpu().float(), scale_factor=factor, mode="nearest")
    height, width = large.shape[2:]
    missing = large.new_full((rows * columns - n, channels, height, width), PAPER)
    framed = F.pad(torch.cat([large, missing]), (0, GAP, 0, GAP), value=PAPER)
    sheet = framed.view(rows, columns, channels, height + GAP, width + GAP).permute(2, 0, 3, 1, 4)
    pixels = as_pixels(F.pad(sheet.reshape(channels, rows * (height + GAP), -1), (GAP, 0, GAP, 0), value=PAPER))
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)


def as_images(images: Float[Tensor, "n channels height width"]) -> list[Image.Image]:
    """Each image by itself, as large as it is."""
    return [Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels) for pixels in as_pixels(images)]


def png(image: Image.Image) -> bytes:
    """An image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
