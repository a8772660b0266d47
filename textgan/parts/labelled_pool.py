"""The few images whose labels a semi-supervised game may know."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.shards import Store


class LabelledPool(Store):
    """The first `size` images of each category that come by, and no others, with their labels.

    Its contents are buffers, so a checkpoint of the game holds them.
    """

    images: Tensor
    held: Int[Tensor, " categories"]
    """Images of each category that are in it."""

    def __init__(self, size: int, spec: ImageSpec) -> None:
        super().__init__()
        self.size = size
        categories = len(spec.categories)
        self.register_buffer("images", torch.zeros(categories, size, *spec.shape))
        self.register_buffer("held", torch.zeros(categories, dtype=torch.int64))

    @property
    def is_full(self) -> bool:
        return int(self.held.min()) == self.size

    @torch.no_grad()
    def offer(self, batch: LabelledImages) -> None:
        """Takes from the batch, in its order, what there is room for."""
        if self.is_full:
            return
        one_hot = nn.functional.one_hot(batch.category, len(self.held))
        place = (self.held + one_hot.cumsum(0) - 1).gather(1, batch.category[:, None]).squeeze(1)
        taken = place < self.size
        self.images[batch.category[taken], place[taken]] = batch.image[taken].to(self.images.dtype)
        self.held.add_(one_hot.sum(0)).clamp_(max=self.size)

    def draw(self, n: int) -> LabelledImages:
        """`n` of the images that are in it, with replacement, every one as likely as any other."""
        return self._at(torch.multinomial(self._there(), n, replacement=True))

    def some(self, n: int) -> LabelledImages:
        """`n` different ones of them, or all where there are no more, in a random order."""
        return self._at(torch.multinomial(self._there(), min(n, int(self.held.sum())), replacement=False))

    def one_of(self, category: Int[Tensor, " n"]) -> Float[Tensor, "n channels height width"]:
        """For each category an image that is in it, drawn at random."""
        places = torch.rand(len(category), device=category.device) * self.held[category]
        return self.images[category, places.long()]

    def _there(self) -> Tensor:
        """1 at the places that are filled."""
        return (torch.arange(self.size, device=self.held.device) < self.held[:, None]).flatten().float()

    def _at(self, places: Tensor) -> LabelledImages:
        return LabelledImages(self.images.flatten(0, 1)[places], places // self.size)
