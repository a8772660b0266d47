"""Games of images, trained: they draw, make images of images, and draw what a sentence says."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from textgan.data.images.captions import CaptionedSpec
from textgan.data.images.corpus import as_numbers
from textgan.data.images.glyphs import GlyphSpec
from textgan.data.images.pairs import PairSpec
from textgan.data.images.preparation import fitted
from textgan.data.images.readers import image_files, open_image
from textgan.data.tokenizer import load_tokenizer
from textgan.errors import UserError
from textgan.inference import samples_of
from textgan.opened import Opened, check_sampling
from textgan.pictures import grid
from textgan.reproducibility import forked_rng
from textgan.run import Run

ROWS = 500
"""Images drawn at once: bounds memory."""


class _ImageModel:
    """The networks of a run."""

    def __init__(self, run: Run, opened: Opened) -> None:
        self.run = run
        self.name, self.settings, self.spec, self.game = opened

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of what can be asked for; none where there is nothing to choose."""
        return ()

    def place(self, category: str) -> int:
        """The number of a category.

        Raises:
            UserError: there is none of that name.
        """
        if not self.categories:
            raise UserError(f"category is {category!r}, but {self.name} knows no categories")
        if category not in self.categories:
            raise UserError(f"category is {category!r}; it must be one of: {', '.join(self.categories)}")
        return self.categories.index(category)

    def columns(self, category: str | None = None) -> int | None:
        """Images in a row of a sheet; None: as many as make a square."""
        return None

    @contextmanager
    def _seeded(self, seed: int | None) -> Iterator[None]:
        check_sampling(1, 1.0, seed)
        with forked_rng(secrets.randbits(63) if seed is None else seed):
            yield


class ImageModel(_ImageModel):
    """A game that draws images, of a category where it knows categories."""

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
        options = {} if category is None else {"category": self.place(category)}
        with self._seeded(seed):
            return samples_of(self.game, n, rows=ROWS, together=max(len(self.categories), 1), **options)

    def grid(self, n: int = 64, seed: int | None = None, category: str | None = None) -> Image.Image:
        """`n` generated images on one sheet, small ones enlarged: ``model.grid(64).save("grid.png")``."""
        return grid(self.sample(n, seed, category), self.columns(category))

    def columns(self, category: str | None = None) -> int | None:
        """A column a category, where each comes in turn."""
        return len(self.categories) if self.categories and category is None else None


class TranslationModel(_ImageModel):
    """A game that makes images of given ones; of fonts, in a style."""

    @property
    def categories(self) -> tuple[str, ...]:
        """The styles that can be asked for, of a game of fonts."""
        return self.spec.styles if isinstance(self.spec, GlyphSpec) else ()

    def __call__(
        self, images: Float[Tensor, "n channels height width"], category: str | None = None, seed: int | None = None
    ) -> Float[Tensor, "n channels2 height2 width2"]:
        """What is made of images in [-1, 1]; of fonts, in the style `category`, by default the first one.

        Raises:
            UserError: images have another shape than those the game learned from, or there is no such style.
        """
        wanted = (self.spec.source if isinstance(self.spec, PairSpec) else self.spec).shape
        if tuple(images.shape[1:]) != wanted:
            raise UserError(f"images have the shape {tuple(images.shape[1:])}; {wanted} is accepted")
        style = 0 if category is None else self.place(category)
        styles = [torch.full((len(images),), style)] if self.categories else []
        with self._seeded(seed):
            return samples_of(self.game, len(images), images, *styles, rows=ROWS)

    def read(self, path: str | Path) -> Float[Tensor, "n channels height width"]:
        """An image file, or all in a folder, cropped and resampled to what the game takes."""
        source = self.spec.source if isinstance(self.spec, PairSpec) else self.spec
        path = Path(path)
        files = image_files(path) if path.is_dir() else [path]
        if source.height != source.width:
            return torch.stack([as_numbers(fitted(open_image(file), None, source.channels)) for file in files])
        return torch.stack([as_numbers(fitted(open_image(file), source.height, source.channels)) for file in files])


class CaptionModel(_ImageModel):
    """A game that draws what a sentence says."""

    spec: CaptionedSpec

    def __init__(self, run: Run, opened: Opened) -> None:
        super().__init__(run, opened)
        self.tokenizer = load_tokenizer(run.tokenizer_file)

    def sample(self, n: int, caption: str, seed: int | None = None) -> Float[Tensor, "n channels height width"]:
        """`n` images for a caption, numbers in [-1, 1].

        Raises:
            UserError: `n` or the seed is out of range, or the caption is empty or longer than the model's.
        """
        check_sampling(n, 1.0, seed)
        (ids,) = self.tokenizer.encode_batch([caption])
        if not 1 <= len(ids) < self.spec.length:
            raise UserError(f"the caption {caption!r} has {len(ids)} tokens; it must have 1 to {self.spec.length - 1}")
        row = torch.tensor([*ids, 2, *[self.spec.pad] * (self.spec.length - 1 - len(ids))])
        with self._seeded(seed):
            return samples_of(self.game, n, row.expand(n, -1), rows=ROWS)

    def grid(self, n: int, caption: str, seed: int | None = None) -> Image.Image:
        """`n` images for a caption on one sheet."""
        return grid(self.sample(n, caption, seed))
