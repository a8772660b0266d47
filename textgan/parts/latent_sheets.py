"""Sheets of what an encoder and a decoder do to real images: reconstructions, and arithmetic with codes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

COLUMNS = 8
STEPS = (0.0, 0.5, 1.0, 1.5, 2.0)
"""How much of an attribute is added on the sheet of arithmetic."""
SHOWN = 2
"""Images that an attribute is added to."""


def _width(images: Tensor) -> Tensor:
    """The standard deviation of the place of light, from left to right."""
    columns = ((images + 1) / 2).mean((1, 2)) + 1e-6
    columns = columns / columns.sum(1, keepdim=True)
    place = torch.arange(columns.shape[1], device=images.device, dtype=images.dtype)
    mean = columns @ place
    return (columns @ place.square() - mean.square()).clamp(min=0).sqrt()


ATTRIBUTES: dict[str, Callable[[Tensor], Tensor]] = {
    "light": lambda x: x.mean((1, 2, 3)),
    "contrast": lambda x: x.flatten(1).std(1),
    "light on the left": lambda x: x.tensor_split(2, 3)[0].mean((1, 2, 3)) - x.tensor_split(2, 3)[1].mean((1, 2, 3)),
    "light above": lambda x: x.tensor_split(2, 2)[0].mean((1, 2, 3)) - x.tensor_split(2, 2)[1].mean((1, 2, 3)),
    "wide": _width,
}
"""What any image has more or less of, from images ``(n, C, H, W)`` in [-1, 1]. Nobody has to label it."""


def reconstruction_sheet(
    images: Float[Tensor, "n channels height width"], again: Float[Tensor, "n channels height width"]
) -> Float[Tensor, "rows columns channels height width"]:
    """Rows of images, under each the row of their reconstructions. What does not fill a row is left out."""
    columns = min(COLUMNS, len(images))
    rows = min(COLUMNS // 2, len(images) // columns)
    shape = rows, columns, *images.shape[1:]
    pairs = torch.stack([kind[: rows * columns].view(shape) for kind in (images, again)], 1)
    return pairs.flatten(0, 1)


def attribute_codes(
    images: Float[Tensor, "n channels height width"], codes: Float[Tensor, "n size"], name: str
) -> tuple[Float[Tensor, " size"], Float[Tensor, " size"]]:
    """The mean code of the quarter of the images that have most of an attribute, and of that which has least.

    Their difference is the attribute's vector (Larsen et al. 2016, section 4.2).
    """
    order = ATTRIBUTES[name](images).argsort()
    quarter = max(1, len(images) // 4)
    return codes[order[-quarter:]].mean(0), codes[order[:quarter]].mean(0)


def arithmetic_sheet(
    images: Float[Tensor, "n channels height width"],
    codes: Float[Tensor, "n size"],
    decode: Callable[[Tensor], Tensor],
) -> Float[Tensor, "rows columns channels height width"]:
    """ "Glasses man - man + woman" with what images can be sorted by: `SHOWN` rows for each of `ATTRIBUTES`, in order.

    Columns: the image of the mean code A of those that have most of it; of the mean code B of those with least; a real
    image with little of it, whose code is C; the images of C, C + (A - B) / 2, C + (A - B), C + 3/2 (A - B),
    C + 2 (A - B).
    """
    rows = []
    for name in ATTRIBUTES:
        most, least = attribute_codes(images, codes, name)
        for place in ATTRIBUTES[name](images).argsort()[:SHOWN]:
            moved = torch.stack([most, least, *(codes[place] + step * (most - least) for step in STEPS)])
            made = decode(moved)
            rows.append(torch.cat([made[:2], images[place][None], made[2:]]))
    return torch.stack(rows)
