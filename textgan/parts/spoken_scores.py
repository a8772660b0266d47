"""The scores of a discriminator that says more of an image than a score: classes, codes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


class SpokenScores:
    """A function from images to scores, for a referee, that keeps what else it heard.

    Of a network whose outputs ``(n, 1 + m)`` are a score and m other numbers. However often and in whatever parts a
    referee asks, the other numbers are there in the order of the images, of one pass through the network.
    """

    def __init__(self, network: Callable[[Tensor], Tensor]) -> None:
        self._network = network
        self._heard: list[Tensor] = []

    def __call__(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, " n"]:
        said = self._network(images)
        self._heard.append(said[:, 1:])
        return said[:, 0]

    def of_last(self, n: int) -> Float[Tensor, "n more"]:
        """What else was said of the `n` images asked for last: the fakes, before them the real ones."""
        return torch.cat(self._heard)[-n:]
