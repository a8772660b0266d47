"""Semi-supervised GAN with feature matching: improved techniques for training GANs (Salimans et al., 2016).

The discriminator is a classifier of K + 1 classes: K of real images, one of fakes, whose logit is fixed at 0. With the
logits l_k of the others, D(x) = Z / (Z + 1), Z = sum_k exp l_k (section 5). It learns from a few labelled images, from
many unlabelled ones, and from fakes::

    L_D = -E log p(y | x, y <= K)  -  E log D(x) - E log(1 - D(G(z)))
    L_G = |E f(x) - E f(G(z))|^2                                           f: the discriminator's features (3.1)

The labelled images are the first `labelled` of each category that come by; no other label is ever learned from. What
share of the batch's images, nearly all of them unlabelled, the classifier gets right is logged as ``class_accuracy``.

Differs from the paper: layer in place of weight normalisation, dropout in place of Gaussian noise; no historical
averaging; images of a category are those, of the ones drawn, that the classifier takes for it, as the generator is not
told one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.errors import check_at_least
from textgan.game import Loss, Turn
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.networks.modes import evaluating
from textgan.parts.categories import categories_of
from textgan.parts.image_game import ImageGame, ImageGameConfig
from textgan.parts.labelled_pool import LabelledPool
from textgan.parts.optimizers import OptimizersConfig

TRIES = 30
"""How often images are drawn anew, at most, until there are enough of a category."""


@dataclass(frozen=True)
class Config(ImageGameConfig):
    """A classifier as discriminator."""

    rounds: int = 1500
    """Rounds; each has one step of the generator."""
    labelled: int = 10
    """Labelled images of each category, at least 1."""
    discriminator: ImageDiscriminatorConfig = field(
        default_factory=lambda: ImageDiscriminatorConfig(norm="layer", dropout=0.3)
    )
    """The classifier. With batch norm it would know labelled images by the company that they keep."""
    optimizers: OptimizersConfig = field(default_factory=lambda: OptimizersConfig(generator=1e-3, discriminator=2e-4))
    """How both sides learn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "labelled")


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    labelled=2,
    generator=ImageGeneratorConfig(width=8),
    discriminator=ImageDiscriminatorConfig(width=8, norm="layer", dropout=0.3),
)


class SemiSupervisedGAN(ImageGame):
    """A generator, and a classifier that tells its images from real ones."""

    data: ClassVar[str] = "labelled_images"
    config: Config
    discriminator: ImageDiscriminator

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.labelled = LabelledPool(config.labelled, spec)

    def make_discriminator(self) -> nn.Module:
        return ImageDiscriminator(self.config.discriminator, self.spec, outputs=len(self.spec.categories))

    def discriminator_loss(self, real: LabelledImages, turn: Turn) -> Loss:  # type: ignore[override]
        n = len(real.image)
        self.labelled.offer(real)
        known = self.labelled.draw(n)
        with torch.no_grad():
            fake = self.generator(self.latents(n))
        loss = self.referee.discriminator(self._score, real.image, fake, turn)
        supervised = F.cross_entropy(self.discriminator(known.image).float(), known.category)
        right = (self.classify(real.image) == real.category).float().mean()
        return Loss({"class": supervised, **loss.terms}, {**loss.info, "class_accuracy": right})

    def generator_loss(self, real: LabelledImages, turn: Turn) -> Loss:  # type: ignore[override]
        latents = self.latents(len(real.image))
        fake = self.generator(latents)
        with torch.no_grad():
            wanted = self.discriminator.features(real.image).float().mean(0)
        apart = (self.discriminator.features(fake).float().mean(0) - wanted).square().sum()
        return Loss({"feature_matching": apart, **self.referee.diversity(fake, latents)})

    def _score(self, images: Tensor) -> Tensor:
        """log Z, the logit of D."""
        return self.discriminator(images).float().logsumexp(1)

    @torch.no_grad()
    def classify(self, images: Float[Tensor, "n channels height width"]) -> Int[Tensor, " n"]:
        """The likeliest category of each image."""
        with evaluating(self.discriminator):
            return self.discriminator(images).argmax(1)

    def decode(
        self, latents: Float[Tensor, "n size"], category: Tensor | None = None
    ) -> Float[Tensor, "n channels height width"]:
        """The images of latent vectors; a category makes no difference."""
        return self.generator(latents)

    def sample(self, n: int, category: int | None = None) -> Float[Tensor, "n channels height width"]:
        """Images that the classifier takes for one category, or for each in turn; whatever comes after `TRIES`."""
        wanted = categories_of(n, len(self.spec.categories), category, self.labelled.held.device)
        images = self.decode(self.latents(n))
        missing = torch.ones_like(wanted, dtype=torch.bool)
        for _ in range(TRIES):
            drawn = self.decode(self.latents(n))
            taken = self.classify(drawn)
            for k in wanted[missing].unique():
                places = (missing & (wanted == k)).nonzero().squeeze(1)
                found = (taken == k).nonzero().squeeze(1)[: len(places)]
                images[places[: len(found)]] = drawn[found]
                missing[places[: len(found)]] = False
            if not missing.any():
                break
        return images
