"""CAN: creative adversarial networks (Elgammal, Liu, Elhoseiny and Mazzone, 2017).

Images of K styles. The discriminator learns what is art, and of which style a real image is; the generator wants its
images to be taken for art, and for none of the styles rather than another (equations 1 to 3)::

    L_D = -E log D(x) - E log(1 - D(G(z))) - E log C(y | x)
    L_G = -E log D(G(z)) - w E sum_k [1/K log C(k | G(z)) + (1 - 1/K) log(1 - C(k | G(z)))]

The second term of L_G, K cross-entropies of a style against the rest, is least where all C(k | G(z)) are 1/K. The
generator is not told a style.

Differs from the paper: the minimax game's -log(1 - D) is the non-saturating -log D; the classifier's three hidden
layers are one linear map; no flips and crops of the images; widths and depth follow the size of the images.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.images.spec import LabelledImages
from textgan.errors import check_at_least
from textgan.game import Loss, Turn
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.parts.image_game import TINY_IMAGE_GAME, ImageGame, ImageGameConfig
from textgan.parts.spoken_scores import SpokenScores


@dataclass(frozen=True)
class Config(ImageGameConfig):
    """A generator that evades styles."""

    rounds: int = 1500
    """Rounds; each has one step of the generator."""
    ambiguity: float = 1.0
    """w: what the ambiguity of style weighs in the generator's loss. 0: a DCGAN beside a classifier."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """The network of scores and styles."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(0, "game", self, "ambiguity")


TINY = Config(**TINY_IMAGE_GAME)


class CAN(ImageGame):
    """A generator that knows no styles, and a discriminator that does."""

    data: ClassVar[str] = "labelled_images"
    config: Config

    def make_discriminator(self) -> nn.Module:
        return ImageDiscriminator(self.config.discriminator, self.spec, outputs=1 + len(self.spec.categories))

    def decode(
        self, latents: Float[Tensor, "n size"], category: Tensor | None = None
    ) -> Float[Tensor, "n channels height width"]:
        """The images of latent vectors; a category makes no difference."""
        return self.generator(latents)

    def sample(self, n: int, category: int | None = None) -> Float[Tensor, "n channels height width"]:
        """Images of no style; a category that is asked for makes no difference."""
        return self.decode(self.latents(n))

    def discriminator_loss(self, real: LabelledImages, turn: Turn) -> Loss:  # type: ignore[override]
        n = len(real.image)
        scores = SpokenScores(self.discriminator)
        loss = self.referee.discriminator(scores, real.image, self.sample(n).detach(), turn)
        styles = scores.of_last(2 * n)[:n]
        right = (styles.argmax(1) == real.category).float().mean()
        style = F.cross_entropy(styles.float(), real.category)
        return Loss({**loss.terms, "style": style}, {**loss.info, "style_accuracy": right})

    def generator_loss(self, real: LabelledImages, turn: Turn) -> Loss:  # type: ignore[override]
        latents = self.latents(len(real.image))
        fake = self.decode(latents)
        scores = SpokenScores(self.discriminator)
        adversarial = self.referee.generator(scores, real.image, fake, turn)
        styles = scores.of_last(len(fake))
        terms = {"adversarial": adversarial, "ambiguity": self.config.ambiguity * ambiguity(styles)}
        return Loss({**terms, **self.referee.diversity(fake, latents)}, {"style_entropy": entropy(styles)})


def ambiguity(logits: Float[Tensor, "n styles"]) -> Float[Tensor, ""]:
    """``-E sum_k [1/K log p_k + (1 - 1/K) log(1 - p_k)]`` of the softmax p of each row, in nats."""
    logs = logits.float().log_softmax(1)
    of_others = (-logs.clamp(max=-1e-6).expm1()).log()
    share = 1 / logits.shape[1]
    return -(share * logs + (1 - share) * of_others).sum(1).mean()


def entropy(logits: Float[Tensor, "n styles"]) -> Float[Tensor, ""]:
    """Of each row's softmax, in nats; ln K at most."""
    logs = logits.float().log_softmax(1)
    return -(logs.exp() * logs).sum(1).mean()
