"""EBGAN: energy-based generative adversarial network (Zhao, Mathieu and LeCun, 2017).

The discriminator is an autoencoder, and the energy of an image its error, ``D(x) = |Dec(Enc(x)) - x|^2``. It gives
energy to fakes until they have the margin m, each for itself; the generator makes images of low energy (equations 1
and 2)::

    L_D = E D(x) + E max(0, m - D(G(z)))
    L_G = E D(G(z)) + lambda f_PT(S)

The pulling-away term makes the codes S_i = Enc(G(z_i)) of a batch orthogonal (equation 4)::

    f_PT(S) = 1 / (N (N - 1)) sum_i sum_{j != i} (S_i . S_j / (|S_i| |S_j|))^2

Differs from the paper: the error is a mean over an image's numbers, in [-1, 1], so that a margin does not depend on
their count (m is 0.2 here, 1 to 80 there); widths and depth follow the size of the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

from textgan.data.images.spec import ImageSpec
from textgan.errors import check_above_zero, check_at_least
from textgan.game import Loss, Move, Stage, Turn
from textgan.latents import LatentName
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_encoders import ImageAutoencoder
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.parts.decoder_game import DecoderConfig, DecoderGame
from textgan.parts.optimizers import OptimizersConfig


@dataclass(frozen=True)
class Config(DecoderConfig):
    """An autoencoder as discriminator."""

    rounds: int = 1500
    """Rounds; each has one step of every player."""
    latents: LatentName = "gaussian"
    """What latent vectors are drawn from."""
    encoder: ImageDiscriminatorConfig = field(default_factory=ImageDiscriminatorConfig)
    """The autoencoder's way to the code."""
    decoder: ImageGeneratorConfig = field(default_factory=ImageGeneratorConfig)
    """Its way back."""
    code: int = 32
    """Numbers of the autoencoder's code."""
    margin: float = 0.2
    """Energy that a fake need not exceed."""
    pulling_away: float = 0.1
    """Weight of the pulling-away term in the generator's loss; 0: without it."""
    optimizers: OptimizersConfig = field(default_factory=OptimizersConfig)
    """How the players learn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "code")
        check_above_zero("game", self, "margin")
        check_at_least(0, "game", self, "pulling_away")


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    generator=ImageGeneratorConfig(width=8),
    encoder=ImageDiscriminatorConfig(width=8),
    decoder=ImageGeneratorConfig(width=8),
    code=8,
)


class EBGAN(DecoderGame):
    """A generator and an autoencoder."""

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.prior = config.latents
        self.discriminator = ImageAutoencoder(config.encoder, config.decoder, spec, config.code)

    def optimizers(self) -> dict[str, Optimizer]:
        made = self.config.optimizers
        return {
            "generator": made.of_generator(self.generator),
            "discriminator": made.of_discriminator(self.discriminator),
        }

    def stages(self) -> Sequence[Stage]:
        moves = [Move("discriminator", self.discriminator_loss), Move("generator", self.generator_loss)]
        return [Stage("adversarial", self.config.rounds, moves)]

    def energy(
        self, images: Float[Tensor, "n channels height width"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n size"]]:
        """The squared error of each image, a mean over its numbers, and its code."""
        again, codes = self.discriminator(images)
        return (again.float() - images.float()).square().flatten(1).mean(1), codes

    def discriminator_loss(self, real: Tensor, turn: Turn) -> Loss:
        with torch.no_grad():
            fake = self.sample(len(real))
        of_real, of_fake = self.energy(real)[0], self.energy(fake)[0]
        missing = (self.config.margin - of_fake).relu()
        return Loss({"real": of_real.mean(), "fake": missing.mean()}, {"energy of fakes": of_fake.mean()})

    def generator_loss(self, real: Tensor, turn: Turn) -> Loss:
        energy, codes = self.energy(self.sample(len(real)))
        alike = pulling_away(codes)
        if not self.config.pulling_away:
            return Loss({"energy": energy.mean()}, {"alike": alike})
        return Loss({"energy": energy.mean(), "alike": self.config.pulling_away * alike})


def pulling_away(codes: Float[Tensor, "n size"]) -> Float[Tensor, ""]:
    """The mean squared cosine between two different codes of a batch: equation 4. In [0, 1]."""
    directions = torch.nn.functional.normalize(codes.float(), dim=1)
    squares = (directions @ directions.T).square()
    n = len(codes)
    return (squares.sum() - squares.diagonal().sum()) / max(1, n * (n - 1))
