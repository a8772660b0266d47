"""A game of images, trained: draws them."""

from __future__ import annotations

import secrets

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from textgan.errors import UserError
from textgan.model import Opened, check_sampling
from textgan.pictures import grid
from textgan.reproducibility import forked_rng
from textgan.run import Run

ROWS = 500
"""Images drawn at once: bounds memory."""


class ImageModel:
    """The networks of a run of a game of images."""

    def __init__(self, run: Run, opened: Opened) -> None:
        self.run = run
        self.name, self.settings, self.spec, self.game = opened

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the categories that images are generated for; none where the game knows none."""
        return self.spec.categories if self.game.data == "labelled_images" else ()

    def sample(
        self, n: int, seed: int | None = None, category: str | None = None
    ) -> Float[Tensor, "n channels height width"]:
        """`n` generated images, numbers in [-1, 1].

        Args:
            seed: the same seed gives the same images. None: other ones every time.
            category: one of `categories`. None: each in turn, the i-th image of category i modulo K.

        Raises:
            UserError: `n` or the seed is out of range, or there is no such category.
        """
        check_sampling(n, 1.0, seed)
        options = {} if category is None else {"category": self._place(category)}
        rows = ROWS - ROWS % max(len(self.categories), 1)  # so that categories in turn go on from draw to draw
        with forked_rng(secrets.randbits(63) if seed is None else seed), torch.no_grad():
            sizes = [min(rows, n - start) for start in range(0, n, rows)]
            return torch.cat([self.game.sample(size, **options).float().cpu() for size in sizes])

    def grid(self, n: int = 64, seed: int | None = None, category: str | None = None) -> Image.Image:
        """`n` generated images on one sheet, small ones enlarged: ``model.grid(64).save("grid.png")``."""
        return grid(self.sample(n, seed, category), self.columns(category))

    def columns(self, category: str | None = None) -> int | None:
        """Images in a row of a sheet: a column a category, where each comes in turn. None: as many as make a square."""
        return len(self.categories) if self.categories and category is None else None

    def _place(self, category: str) -> int:
        if not self.categories:
            raise UserError(f"category is {category!r}, but {self.name} is played on images without categories")
        if category not in self.categories:
            raise UserError(f"category is {category!r}; it must be one of: {', '.join(self.categories)}")
        return self.categories.index(category)
