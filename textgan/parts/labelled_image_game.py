"""A generator of images of a category against a discriminator: what conditional image GANs share."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textgan.data.images.spec import LabelledImages
from textgan.game import Loss, Turn
from textgan.parts.categories import categories_of
from textgan.parts.image_game import LatentImageGame
from textgan.parts.referee import Score


class LabelledImageGame(LatentImageGame):
    """Two players, one stage; a subclass makes networks that are asked with a category as well.

    ``generator(latents, category)`` gives images, ``discriminator(images, category)`` scores.
    """

    data: ClassVar[str] = "labelled_images"

    def in_turn(self, n: int, category: int | None = None) -> Int[Tensor, " n"]:
        """`n` categories: one alone, or each in turn."""
        return categories_of(n, len(self.spec.categories), category, next(self.generator.parameters()).device)

    def decode(  # type: ignore[override]
        self, latents: Float[Tensor, "n size"], category: Int[Tensor, " n"]
    ) -> Float[Tensor, "n channels height width"]:
        """The images of latent vectors and categories."""
        return self.generator(latents, category)

    def sample(self, n: int, category: int | None = None) -> Float[Tensor, "n channels height width"]:
        """Images of one category, or of each in turn."""
        return self.decode(self.latents(n), self.in_turn(n, category))

    def discriminator_loss(self, real: LabelledImages, turn: Turn) -> Loss:  # type: ignore[override]
        """Fakes have the categories of the real images."""
        with torch.no_grad():
            fake = self.decode(self.latents(len(real.image)), real.category)
        loss = self.referee.discriminator(self.judge_of(real.category), real.image, fake, turn)
        return Loss({**loss.terms, **self.labelled_penalties(real, fake)}, loss.info)

    def generator_loss(self, real: LabelledImages, turn: Turn) -> Loss:  # type: ignore[override]
        latents = self.latents(len(real.image))
        fake = self.decode(latents, real.category)
        adversarial = self.referee.generator(self.judge_of(real.category), real.image, fake, turn)
        return Loss({"adversarial": adversarial, **self.referee.diversity(fake, latents)})

    def judge_of(self, category: Int[Tensor, " n"]) -> Score:
        """The discriminator's scores as a function of images alone: of a batch, or of two, of these categories."""
        return lambda images: self.discriminator(images, category.repeat(len(images) // len(category)))

    def labelled_penalties(self, real: LabelledImages, fake: Tensor) -> dict[str, Tensor]:
        """Further terms of the discriminator's loss, weighted."""
        return {}
