"""StackGAN++: a tree of generators for images of sentences (Zhang, Xu, Li et al., 2018).

Images s_i of several sizes are made of the same maps, of latents z and of a condition c that is drawn for a caption t::

    h_0 = F_0(c, z)      h_i = F_i(h_{i-1}, c)      s_i = G_i(h_i)

Each size has a discriminator with two votes, one on the image alone and one on image and caption; real images with the
captions t' of others are fakes to the second (equations 5 and 6). All sizes learn at once::

    L_D = sum_i - E log D_i(x_i) - E log(1 - D_i(s_i))
                - E log D_i(x_i, t) - E log(1 - D_i(s_i, t)) - E log(1 - D_i(x_i, t'))
    L_G = sum_i - E log D_i(s_i) - E log D_i(s_i, t) + a L_C(s_i, s_{i-1})  +  w KL(N(mu(phi), Sigma(phi)) || N(0, I))
    L_C(s, s') = E |m - m'|^2 + 5 E |S - S'|_F^2

m and S are the mean and the covariance of an image's colours over its pixels (equations 7 and 8).

Differs from the paper: captions are read by an LSTM in each network, which learns with it, where the paper's encoder is
pretrained; colours are kept consistent under captions too, in images that have any, which the authors' own runs with
captions do without; a caption's vector joins an image's features as a whole; the divergence is a mean over the numbers
of c; rectifiers for gated linear units; three sizes, or as many as leave 3 pixels a side.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.images.captions import CaptionedImages
from textgan.errors import UserError, check_at_least
from textgan.game import Loss, Turn
from textgan.networks.image_captions import CaptionConfig, CaptionedDiscriminator
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_pyramid import halve, pyramid_sizes
from textgan.networks.image_refining import TreeGenerator
from textgan.parts.caption_game import CaptionGame, CaptionGameConfig

MOST = 3
"""Sizes of the paper's tree."""
COVARIANCE = 5.0
"""What the distance of covariances weighs against that of means."""


@dataclass(frozen=True)
class Config(CaptionGameConfig):
    """A tree, and a discriminator of each of its sizes."""

    rounds: int = 1000
    """Rounds; each has one step of the generator."""
    levels: int | None = None
    """Sizes, the image's among them. None: 3, or as many as leave 3 pixels a side."""
    width: int = 32
    """Channels of the largest maps."""
    blocks: int = 1
    """Residual blocks of each size; the paper has 2."""
    colour: float = 50.0
    """a: weight of the colours' consistency. Grey images have none."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """Of every size."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "width")
        check_at_least(0, "game", self, "blocks", "colour")
        check_at_least(2, "game", self, "levels")


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    width=8,
    captions=CaptionConfig(embedding=8, hidden=8, condition=8),
    discriminator=ImageDiscriminatorConfig(width=8, norm="batch"),
)


class StackGANpp(CaptionGame):
    """One generator with images of every size; discriminators, one a size, that are one player."""

    config: Config
    generator: TreeGenerator
    discriminator: nn.ModuleList

    def make_generator(self) -> TreeGenerator:
        c = self.config
        return TreeGenerator(c.captions, self.spec, c.latent, len(self.sizes), c.width, c.blocks)

    def make_discriminator(self) -> nn.ModuleList:
        c, bias = self.config, self.referee.objective.has_level
        specs = [replace(self.spec, height=height, width=width) for height, width in self.sizes]
        return nn.ModuleList([CaptionedDiscriminator(c.discriminator, c.captions, s, True, bias) for s in specs])

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Heights and widths, the smallest first."""
        found = pyramid_sizes(self.spec.height, self.spec.width)
        levels = min(MOST, len(found)) if self.config.levels is None else self.config.levels
        if levels > len(found):
            raise UserError(
                f"game.levels is {levels}; it must be at most {len(found)} for images of {self.spec.width} x "
                f"{self.spec.height}"
            )
        return found[-levels:]

    def decode(  # type: ignore[override]
        self, latents: Float[Tensor, "n size"], caption: Int[Tensor, "n length"]
    ) -> Float[Tensor, "n channels height width"]:
        return self.generator(latents, caption)[0][-1]

    def discriminator_loss(self, real: CaptionedImages, turn: Turn) -> Loss:  # type: ignore[override]
        with torch.no_grad():
            fakes, _ = self.generator(self.latents(len(real.image)), real.caption)
        shown = zip(self.networks, self.pyramid(real), fakes, strict=True)
        return added([self.told_apart(network, images, fake, 1.0, turn) for network, images, fake in shown])

    def generator_loss(self, real: CaptionedImages, turn: Turn) -> Loss:  # type: ignore[override]
        fakes, condition = self.generator(self.latents(len(real.image)), real.caption)
        shown = zip(self.networks, self.pyramid(real), fakes, strict=True)
        adversarial = torch.stack([self.deceived(*each, turn) for each in shown]).sum()
        terms = {"adversarial": adversarial, "augmentation": self.divergence(condition)}
        if self.spec.channels > 1 and self.config.colour:
            steps = zip(fakes[1:], fakes, strict=False)
            terms["colour"] = self.config.colour * torch.stack([colours_apart(s, t) for s, t in steps]).sum()
        return Loss(terms)

    def pyramid(self, real: CaptionedImages) -> list[CaptionedImages]:
        """Real images of every size, the smallest first."""
        times = reversed(range(len(self.discriminator)))
        return [CaptionedImages(halve(real.image, k), real.caption) for k in times]


def added(losses: list[Loss]) -> Loss:
    """Terms are sums, info means."""
    terms = {name: torch.stack([loss.terms[name] for loss in losses]).sum() for name in losses[0].terms}
    return Loss(terms, {name: torch.stack([loss.info[name] for loss in losses]).mean() for name in losses[0].info})


def colours_apart(
    images: Float[Tensor, "n channels height width"], smaller: Float[Tensor, "n channels rows columns"]
) -> Float[Tensor, ""]:
    """L_C: how far the colours of images are from those of smaller ones, their means and covariances over pixels."""
    (mean, covariance), (mean_2, covariance_2) = colours(images), colours(smaller)
    of_means = (mean - mean_2).square().sum(1)
    return (of_means + COVARIANCE * (covariance - covariance_2).square().sum((1, 2))).mean()


def colours(images: Float[Tensor, "n channels height width"]) -> tuple[Tensor, Tensor]:
    """The mean ``(n, C)`` and the covariance ``(n, C, C)`` of the colours of an image's pixels."""
    pixels = images.float().flatten(2)
    mean = pixels.mean(2)
    apart = pixels - mean[:, :, None]
    return mean, apart @ apart.mT / pixels.shape[2]
