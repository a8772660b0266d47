"""Fakes of earlier steps, so that a discriminator does not forget what generators used to make."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from textgan.shards import Store


class History(Store):
    """Holds `size` images. What is in it and how much is a buffer, so a checkpoint of the game holds them.

    Shrivastava et al. 2017, section 2.3; Zhu et al. 2017, section 4.
    """

    items: Tensor
    held: Tensor

    def __init__(self, size: int, *shape: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("items", torch.zeros(size, *shape))
        self.register_buffer("held", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def by_chance(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n channels height width"]:
        """Each image with probability a half exchanged for one of the history, where it stays."""
        return self._exchanged(images, torch.rand(len(images), device=images.device) < 0.5)

    @torch.no_grad()
    def by_halves(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n channels height width"]:
        """The second half of the images exchanged for as many of the history, where they stay."""
        places = torch.arange(len(images), device=images.device)
        return self._exchanged(images, places >= (len(images) + 1) // 2)

    def _exchanged(self, images: Tensor, chosen: Bool[Tensor, " n"]) -> Tensor:
        """While there is room, images are put in and none is taken out for them."""
        images = images.to(self.items.dtype)
        held = int(self.held)
        room = min(self.size - held, len(images))
        self.items[held : held + room] = images[:room]
        self.held += room
        going = chosen.clone()
        going[:room] = False
        going &= going.cumsum(0) <= self.size
        places = torch.randperm(self.size, device=images.device)[: int(going.sum())]
        shown = images.clone()
        shown[going] = self.items[places]
        self.items[places] = images[going]
        return shown
