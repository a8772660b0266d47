"""Generators of images of captions against discriminators that are shown both: what text-to-image games share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.images.captions import CaptionedImages, CaptionedSpec
from textgan.errors import check_at_least
from textgan.game import Loss, Turn
from textgan.networks.image_captions import CaptionConfig, CaptionedDiscriminator
from textgan.networks.image_encoders import Posterior
from textgan.parts.neighbours import next_allowed
from textgan.parts.referee import Score, with_noise
from textgan.parts.two_player import TwoPlayerConfig, TwoPlayerGame


@dataclass(frozen=True)
class CaptionGameConfig(TwoPlayerConfig):
    """Options of every such game, whatever its generators are."""

    captions: CaptionConfig = field(default_factory=CaptionConfig)
    """How captions are read."""
    augmentation: float = 1.0
    """Weight of the divergence of a condition's distribution from N(0, I), by number."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(0, "game", self, "augmentation")


class CaptionGame(TwoPlayerGame):
    """Generators and, in one list, a discriminator of each size. A subclass says what they are."""

    data: ClassVar[str] = "captioned_images"
    config: CaptionGameConfig
    spec: CaptionedSpec
    discriminator: nn.ModuleList

    def __init__(self, config: CaptionGameConfig, spec: CaptionedSpec) -> None:
        super().__init__(config, spec)

    @property
    def networks(self) -> Sequence[CaptionedDiscriminator]:
        """The discriminators, the smallest size's first."""
        return [network for network in self.discriminator if isinstance(network, CaptionedDiscriminator)]

    def decode(  # type: ignore[override]
        self, latents: Float[Tensor, "n size"], caption: Int[Tensor, "n length"]
    ) -> Float[Tensor, "n channels height width"]:
        """The images of latent vectors and captions."""
        raise NotImplementedError

    def sample(  # type: ignore[override]
        self, n: int, caption: Int[Tensor, "n length"]
    ) -> Float[Tensor, "n channels height width"]:
        """An image for each of `n` captions."""
        return self.decode(self.latents(n), caption)

    def told_apart(
        self, network: CaptionedDiscriminator, real: CaptionedImages, fake: Tensor, share: float, turn: Turn
    ) -> Loss:
        """What a discriminator minimises: votes on real images must be 1, on fakes with the same captions 0, and on
        real images with captions of others 0 as well, a vote on the image alone aside.

        Args:
            share: weight of the fakes, and of the wrong captions.
        """
        of_real, of_fake = self.referee.scores(self.judge(network, real.caption), real.image, fake, turn)
        loss = self.referee.discriminator_of(of_real, of_fake)
        image = with_noise(real.image, self.referee.tricks.instance_noise * (1 - turn.progress))
        of_wrong = network(image, real.caption[others(real.caption)])[:, :1]
        wrong = self.referee.discriminator_of(of_real[:, :1], of_wrong).terms["fake"]
        terms = {
            "real": network.votes * loss.terms["real"],
            "fake": share * network.votes * loss.terms["fake"],
            "wrong": share * wrong,
        }
        return Loss(terms, {**loss.info, "wrong_accuracy": (of_wrong < 0).float().mean()})

    def deceived(self, network: CaptionedDiscriminator, real: CaptionedImages, fake: Tensor, turn: Turn) -> Tensor:
        """The adversarial term of a generator's loss: a sum over votes."""
        return network.votes * self.referee.generator(self.judge(network, real.caption), real.image, fake, turn)

    def judge(self, network: CaptionedDiscriminator, caption: Int[Tensor, "n length"]) -> Score:
        """Votes as a function of images alone: of a batch, or of two, with these captions."""
        return lambda images: network(images, caption.repeat(len(images) // len(caption), 1))

    def divergence(self, condition: Posterior) -> Float[Tensor, ""]:
        """``KL(N(mu, Sigma) || N(0, I))``, its mean over captions and numbers, weighted."""
        return self.config.augmentation * condition.divergence().mean() / condition.mean.shape[1]


def others(caption: Int[Tensor, "n length"]) -> Int[Tensor, " n"]:
    """The place of another caption for each: the next one that differs; its own where all are equal."""
    return next_allowed((caption[:, None] != caption).any(2))
