"""A game of time series, trained: draws windows of them."""

from __future__ import annotations

import secrets

from jaxtyping import Float
from torch import Tensor

from textgan.inference import samples_of
from textgan.opened import Opened, check_sampling
from textgan.reproducibility import forked_rng
from textgan.run import Run


class SeriesModel:
    """The networks of a run of a game of series."""

    def __init__(self, run: Run, opened: Opened) -> None:
        self.run = run
        self.name, self.settings, self.spec, self.game = opened

    def sample(self, n: int, seed: int | None = None) -> Float[Tensor, "n length channels"]:
        """`n` windows, in the units that the game learned from (standardised, unless it was told otherwise).

        Raises:
            UserError: `n` or the seed is out of range.
        """
        check_sampling(n, 1.0, seed)
        with forked_rng(secrets.randbits(63) if seed is None else seed):
            return samples_of(self.game, n)
