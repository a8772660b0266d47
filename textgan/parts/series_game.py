"""A generator of time series against a discriminator: what games of series share."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from textgan.data.series import SeriesSpec
from textgan.parts.two_player import TwoPlayerGame


class SeriesGame(TwoPlayerGame):
    """Two players, one stage. A subclass says what its networks are."""

    data: ClassVar[str] = "series"
    spec: SeriesSpec

    def decode(self, latents: Float[Tensor, "n *size"]) -> Float[Tensor, "n length channels"]:
        """The windows of latent vectors."""
        return super().decode(latents)

    def sample(self, n: int) -> Float[Tensor, "n length channels"]:
        return super().sample(n)
