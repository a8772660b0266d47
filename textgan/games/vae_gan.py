"""VAE/GAN: autoencoding beyond pixels using a learned similarity metric (Larsen et al., 2016).

A VAE whose decoder is a GAN's generator, and whose reconstruction error is the distance of the discriminator's features
f = Dis_l. Real images x, their reconstructions x~ = G(z), z ~ q(z|x), and images of the prior x_p = G(z_p) give
(algorithm 1)::

    L_prior = KL(q(z|x) || N(0, I))           L_like = 1/2 E |f(x) - f(x~)|^2  (+ a constant)
    L_GAN   = -E log Dis(x) - E log(1 - Dis(x~)) - E log(1 - Dis(x_p))

    encoder:       L_prior + L_like
    generator:     gamma L_like + L_G,   L_G = -E log Dis(x~) - E log Dis(x_p)
    discriminator: L_GAN

The similarity is no loss of the discriminator, which would make all features alike. L_like is a sum over features and
L_prior over codes, both means over images.

Differs from the paper: the generator's adversarial loss is non-saturating, with ``loss: saturating`` it is the paper's
-L_GAN; the features are those of the last convolution; the three players move in turn, each on new draws, where the
paper updates all from one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

from textgan.data.images.spec import ImageSpec
from textgan.errors import check_at_least
from textgan.game import Loss, Move, Stage, Turn
from textgan.losses import OBJECTIVES, accuracy
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.networks.image_encoders import GaussianEncoder, Posterior
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.parts.autoencoder_game import AutoencoderGame
from textgan.parts.decoder_game import DecoderConfig
from textgan.parts.optimizers import OptimizersConfig


@dataclass(frozen=True)
class Config(DecoderConfig):
    """An encoder, a generator and a discriminator."""

    rounds: int = 1500
    """Rounds; each has one step of every player."""
    latent: int = 16
    """Numbers of a latent vector."""
    encoder: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """The encoder's network: a discriminator's layers."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """The discriminator, whose features are compared."""
    gamma: float = 0.01
    """Weight of the similarity in the generator's loss: high for likeness, low for what the discriminator asks."""
    loss: Literal["standard", "saturating"] = "standard"
    """The generator's adversarial objective."""
    optimizers: OptimizersConfig = field(default_factory=OptimizersConfig)
    """The encoder's step size is the generator's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(0, "game", self, "gamma")


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    generator=ImageGeneratorConfig(width=8),
    encoder=ImageDiscriminatorConfig(width=8, norm="batch"),
    discriminator=ImageDiscriminatorConfig(width=8, norm="batch"),
)


class VAEGAN(AutoencoderGame):
    """Three players."""

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.encoder = GaussianEncoder(config.encoder, spec, config.latent)
        self.discriminator = ImageDiscriminator(config.discriminator, spec)

    def optimizers(self) -> dict[str, Optimizer]:
        made = self.config.optimizers
        return {
            "encoder": made.of_generator(self.encoder),
            "generator": made.of_generator(self.generator),
            "discriminator": made.of_discriminator(self.discriminator),
        }

    def stages(self) -> Sequence[Stage]:
        moves = [
            Move("encoder", self.encoder_loss),
            Move("generator", self.generator_loss),
            Move("discriminator", self.discriminator_loss),
        ]
        return [Stage("adversarial", self.config.rounds, moves)]

    def encode(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n size"]:
        return self.encoder(images).mean

    def encoder_loss(self, real: Tensor, turn: Turn) -> Loss:
        self.see(real)
        posterior: Posterior = self.encoder(real)
        again = self.discriminator.features(self.decode(posterior.draw()))
        return Loss({"prior": posterior.divergence().mean(), "similarity": self.unlike(real, again)})

    def generator_loss(self, real: Tensor, turn: Turn) -> Loss:
        again = self.discriminator.features(self.decode(self._codes(real)))
        drawn = self.discriminator(self.sample(len(real)))
        deceive = OBJECTIVES[self.config.loss].generator
        scores = self.discriminator.judge(again)
        return Loss(
            {
                "similarity": self.config.gamma * self.unlike(real, again),
                "reconstructed": deceive(scores, scores),
                "drawn": deceive(drawn, drawn),
            }
        )

    def discriminator_loss(self, real: Tensor, turn: Turn) -> Loss:
        with torch.no_grad():
            again, drawn = self.decode(self._codes(real)), self.sample(len(real))
        scores = [self.discriminator(images) for images in (real, again, drawn)]
        of_real, of_drawn = OBJECTIVES["standard"].discriminator(scores[0], scores[2])
        _, of_again = OBJECTIVES["standard"].discriminator(scores[0], scores[1])
        info = {"accuracy": accuracy(scores[0], torch.cat(scores[1:]))}
        return Loss({"real": of_real, "reconstructed": of_again, "drawn": of_drawn}, info)

    def unlike(self, real: Tensor, features: Float[Tensor, "n size"]) -> Float[Tensor, ""]:
        """L_like, given the features of reconstructions; those of the real images are held fixed."""
        with torch.no_grad():
            target = self.discriminator.features(real)
        return (target.float() - features.float()).square().sum(1).mean() / 2

    def _codes(self, real: Tensor) -> Tensor:
        """Drawn from q(z|x), held fixed."""
        with torch.no_grad():
            return self.encoder(real).draw()
