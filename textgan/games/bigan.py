"""BiGAN: adversarial feature learning (Donahue, Kraehenbuehl and Darrell, 2017; ALI, Dumoulin et al., 2017).

An encoder E learns the inverse of the generator. The discriminator sees an image and a code together, and is to tell
real images with their codes from codes with their images (equation 3)::

    L_D    = -E log D(x, E(x)) - E log(1 - D(G(z), z))
    L_G, E = -E log(1 - D(x, E(x))) - E log D(G(z), z)

G and E have one loss and are one player; each half reaches one of them. Nothing asks for reconstructions: where D can
tell nothing E and G are each other's inverse (theorem 2), and the sheet of reconstructions shows how far they are.

Differs from the paper: the losses of G and E have the labels exchanged, as the paper trains them, not the minimax
sign; the code joins the features of the last convolution, and two hidden layers follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from textgan.data.images.spec import ImageSpec
from textgan.errors import check_at_least
from textgan.game import Loss, Move, Stage, Turn
from textgan.latents import LatentName
from textgan.losses import accuracy, discriminator_loss
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.networks.image_encoders import ImageEncoder
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.parts.autoencoder_game import AutoencoderGame
from textgan.parts.decoder_game import DecoderConfig
from textgan.parts.optimizers import OptimizersConfig


@dataclass(frozen=True)
class Config(DecoderConfig):
    """A generator, an encoder, and a discriminator of pairs."""

    rounds: int = 1500
    """Rounds; each has one step of every player."""
    latent: int = 16
    """Numbers of a latent vector."""
    latents: LatentName = "gaussian"
    """What latent vectors are drawn from."""
    encoder: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """The encoder's network: a discriminator's layers."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """The layers that see the image alone."""
    hidden: int = 256
    """Units of the discriminator's two layers that see image and code together."""
    optimizers: OptimizersConfig = field(default_factory=OptimizersConfig)
    """How the players learn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "hidden")


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    generator=ImageGeneratorConfig(width=8),
    encoder=ImageDiscriminatorConfig(width=8),
    discriminator=ImageDiscriminatorConfig(width=8),
    hidden=16,
)


class BiGAN(AutoencoderGame):
    """Generator and encoder against a discriminator of pairs."""

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.prior = config.latents
        self.encoder = ImageEncoder(config.encoder, spec, config.latent)
        self.discriminator = PairDiscriminator(config.discriminator, spec, config.latent, config.hidden)

    def optimizers(self) -> dict[str, Optimizer]:
        made = self.config.optimizers
        return {
            "generator": made.of_generator(self.generator, self.encoder),
            "discriminator": made.of_discriminator(self.discriminator),
        }

    def stages(self) -> Sequence[Stage]:
        moves = [Move("discriminator", self.discriminator_loss), Move("generator", self.generator_loss)]
        return [Stage("adversarial", self.config.rounds, moves)]

    def encode(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n size"]:
        return self.encoder(images)

    def pairs(self, real: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Real images with their codes, and images with the codes that they are made from."""
        codes = self.latents(len(real))
        return (real, self.encode(real)), (self.decode(codes), codes)

    def discriminator_loss(self, real: Tensor, turn: Turn) -> Loss:
        with torch.no_grad():
            encoded, generated = self.pairs(real)
        of_real, of_fake = self.discriminator(*encoded), self.discriminator(*generated)
        halves = discriminator_loss(of_real, of_fake)
        return Loss({"real": halves[0], "fake": halves[1]}, {"accuracy": accuracy(of_real, of_fake)})

    def generator_loss(self, real: Tensor, turn: Turn) -> Loss:
        """The same with the labels exchanged."""
        self.see(real)
        encoded, generated = self.pairs(real)
        halves = discriminator_loss(self.discriminator(*generated), self.discriminator(*encoded))
        return Loss({"generated": halves[0], "encoded": halves[1]})


class PairDiscriminator(nn.Module):
    """Scores of images and codes."""

    def __init__(self, config: ImageDiscriminatorConfig, spec: ImageSpec, code: int, hidden: int) -> None:
        super().__init__()
        self.look = ImageDiscriminator(config, spec, outputs=hidden)
        self.judge = nn.Sequential(
            nn.Linear(hidden + code, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1),
        )

    def forward(
        self, images: Float[Tensor, "n channels height width"], codes: Float[Tensor, "n size"]
    ) -> Float[Tensor, " n"]:
        features = nn.functional.leaky_relu(self.look(images), 0.2)
        return self.judge(torch.cat([features, codes], 1)).squeeze(1)
