"""CVAE: a variational autoencoder under a condition, here of images of a category (Sohn, Lee and Yan, 2015).

Encoder and decoder are told the category y, and the bound is of the conditional likelihood (equation 4)::

    L = E [-log p(x|z, y)] + beta KL(q(z|x, y) || p(z))

The code then need not say what y says already. On the sheet of analogies an image is written again with its own code
and each of the categories (as in Kingma et al. 2014, figure 1): what stays is the hand, what changes is the digit.

Differs from the paper: the condition is a category and the output an image, where the paper predicts structure from an
image; p(z) is N(0, I) for every y, which the paper has as its variant; no hybrid objective.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.game import Loss, Turn
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.parts.autoencoder_game import SEEN
from textgan.parts.categories import categories_of, conditions
from textgan.parts.latent_sheets import COLUMNS, reconstruction_sheet
from textgan.parts.pools import Pool
from textgan.parts.variational_game import VariationalConfig, VariationalGame

SHOWN = 12
"""Categories on the sheet of analogies, at most."""


@dataclass(frozen=True)
class Config(VariationalConfig):
    """A variational autoencoder that is told the category."""


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    generator=ImageGeneratorConfig(width=8),
    encoder=ImageDiscriminatorConfig(width=8),
)


class CVAE(VariationalGame):
    """An encoder and a decoder of images and categories."""

    data: ClassVar[str] = "labelled_images"

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec, len(spec.categories))
        self.seen_categories = Pool(SEEN, dtype=torch.int64)

    def encode(  # type: ignore[override]
        self, images: Float[Tensor, "n channels height width"], category: Int[Tensor, " n"]
    ) -> Float[Tensor, "n size"]:
        return self.encoder(images, category).mean

    def decode(  # type: ignore[override]
        self, latents: Float[Tensor, "n size"], category: Int[Tensor, " n"]
    ) -> Float[Tensor, "n channels height width"]:
        """The images of latent vectors and categories."""
        return self.generator(self._told(latents, category))

    def sample(self, n: int, category: int | None = None) -> Float[Tensor, "n channels height width"]:
        """Images of one category, or of each in turn."""
        latents = self.latents(n)
        return self.decode(latents, categories_of(n, len(self.spec.categories), category, latents.device))

    def loss(self, real: LabelledImages, turn: Turn) -> Loss:  # type: ignore[override]
        posterior = self.encoder(real.image, real.category)
        self.seen_categories.add(real.category[:SEEN])
        return self.bound(real.image, posterior, self.generator.raw(self._told(posterior.draw(), real.category)))

    def sheets(self) -> Mapping[str, Tensor]:
        """Training images again, and their codes under other categories. Nothing before there are any."""
        images, category = self.seen.items[: self.seen.held], self.seen_categories.items[: self.seen.held]
        if not len(images):
            return {}
        codes = self.encode(images, category)
        again = self.decode(codes, category)
        first, n = codes[:COLUMNS], min(SHOWN, len(self.spec.categories))
        others = [self.decode(first, torch.full_like(category[: len(first)], k)) for k in range(n)]
        analogies = torch.stack([images[: len(first)], again[: len(first)], *others], 1)
        return {"reconstruction": reconstruction_sheet(images, again), "analogies": analogies}

    def _told(self, latents: Tensor, category: Tensor) -> Tensor:
        return torch.cat([latents, conditions(category, len(self.spec.categories)).to(latents.dtype)], 1)
