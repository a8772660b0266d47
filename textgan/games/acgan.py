"""AC-GAN: auxiliary classifier GAN (Odena, Olah and Shlens, 2017).

The generator is told a category y; the discriminator is not, and says, beside its score, which category an image is of.
Both want the class right, of real images and of fakes (equations 2 and 3)::

    L_S = -E log D(x) - E log(1 - D(G(z, y)))        L_C = -E log C(y_x | x) - E log C(y | G(z, y))
    L_D = L_S + w L_C                                L_G = -E log D(G(z, y)) - w E log C(y | G(z, y))

Fakes have the categories of the batch's real images.

Differs from the paper: one generator for all categories, where the paper has one for each 10 of its 1000; how the
category joins the latent vector is a switch (the paper concatenates); widths and depth follow the size of the images;
no noise on the discriminator's layers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textgan.data.images.spec import LabelledImages
from textgan.errors import check_above_zero
from textgan.game import Loss, Turn
from textgan.networks.image_conditioning import JoinedGenerator, JoinName
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.parts.image_game import TINY_IMAGE_GAME, ImageGameConfig
from textgan.parts.labelled_image_game import LabelledImageGame
from textgan.parts.spoken_scores import SpokenScores


@dataclass(frozen=True)
class Config(ImageGameConfig):
    """A discriminator that classifies."""

    rounds: int = 1500
    """Rounds; each has one step of the generator."""
    join: JoinName = "product"
    """How the category joins the latent vector: embedding, product or concatenation."""
    class_weight: float = 1.0
    """w: what the classes weigh against the scores, on both sides."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """The network that tells them from real ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_above_zero("game", self, "class_weight")


TINY = Config(**TINY_IMAGE_GAME)


class ACGAN(LabelledImageGame):
    """A generator under a condition, and a discriminator with a classifier."""

    config: Config

    def make_generator(self) -> nn.Module:
        return JoinedGenerator(self.config.generator, self.spec, self.config.latent, self.config.join)

    def make_discriminator(self) -> nn.Module:
        return ImageDiscriminator(self.config.discriminator, self.spec, outputs=1 + len(self.spec.categories))

    def discriminator_loss(self, real: LabelledImages, turn: Turn) -> Loss:  # type: ignore[override]
        n = len(real.image)
        with torch.no_grad():
            fake = self.decode(self.latents(n), real.category)
        scores = SpokenScores(self.discriminator)
        loss = self.referee.discriminator(scores, real.image, fake, turn)
        of_real, of_fake = scores.of_last(2 * n).chunk(2)
        classes = {"class_real": self._class_loss(of_real, real), "class_fake": self._class_loss(of_fake, real)}
        right = (of_real.argmax(1) == real.category).float().mean()
        return Loss({**loss.terms, **classes}, {**loss.info, "class_accuracy": right})

    def generator_loss(self, real: LabelledImages, turn: Turn) -> Loss:  # type: ignore[override]
        latents = self.latents(len(real.image))
        fake = self.decode(latents, real.category)
        scores = SpokenScores(self.discriminator)
        adversarial = self.referee.generator(scores, real.image, fake, turn)
        classes = self._class_loss(scores.of_last(len(fake)), real)
        return Loss({"adversarial": adversarial, "class": classes, **self.referee.diversity(fake, latents)})

    def _class_loss(self, logits: Tensor, asked: LabelledImages) -> Tensor:
        return self.config.class_weight * F.cross_entropy(logits.float(), asked.category)
