"""BEGAN: boundary equilibrium generative adversarial networks (Berthelot, Schumm and Metz, 2017).

The discriminator is an autoencoder; what is matched are the distributions of its errors, ``L(v) = |v - D(v)|``, by the
distance of their means. k holds the two sides in balance (section 3.4)::

    L_D = E L(x) - k_t E L(G(z))
    L_G = E L(G(z))
    k_{t+1} = clip(k_t + lambda (gamma L(x) - L(G(z))), 0, 1),   k_0 = 0

gamma = E L(G(z)) / E L(x), the equilibrium, trades variety (high) for quality (low). How far the game has come is
``M = L(x) + |gamma L(x) - L(G(z))|``, which is logged.

k is a buffer, and so are the errors that it is updated from: those of the round's two steps, whole batches even where
the trainer splits them.

Differs from the paper: the layers are DCGAN's or residual, and images go through a tanh; the sides
move in turn, and k after both; step sizes are not halved when M stalls; no skip connections that vanish. By default k
moves twenty times as fast as in the paper and gamma is higher, for games of a hundred times fewer steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

from textgan.data.images.spec import ImageSpec
from textgan.errors import check_above_zero, check_fields
from textgan.game import Loss, Move, Stage, Turn
from textgan.latents import LatentName
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_encoders import ImageAutoencoder
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.parts.decoder_game import DecoderConfig, DecoderGame
from textgan.parts.optimizers import OptimizersConfig

REAL, FAKE = 0, 1


@dataclass(frozen=True)
class Config(DecoderConfig):
    """An autoencoder as discriminator, and a balance; its decoder is a second `generator`."""

    rounds: int = 2000
    """Rounds; each has one step of every player."""
    latent: int = 12
    """Numbers of a latent vector, and of the autoencoder's code: far fewer than an image has, or any image passes."""
    latents: LatentName = "uniform"
    """What latent vectors are drawn from."""
    encoder: ImageDiscriminatorConfig = field(default_factory=ImageDiscriminatorConfig)
    """The autoencoder's way to the code."""
    gamma: float = 0.9
    """The equilibrium: the error of fakes as a share of that of real images, in (0, 1]."""
    rate: float = 0.02
    """lambda: how fast k moves."""
    optimizers: OptimizersConfig = field(default_factory=OptimizersConfig)
    """How the players learn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields("game", self, "in (0, 1]", lambda value: 0 < value <= 1, "gamma")
        check_above_zero("game", self, "rate")


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    generator=ImageGeneratorConfig(width=8),
    encoder=ImageDiscriminatorConfig(width=8),
)


class BEGAN(DecoderGame):
    """A generator and an autoencoder in balance."""

    config: Config
    k: Tensor
    errors: Tensor

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.prior = config.latents
        self.discriminator = ImageAutoencoder(config.encoder, config.generator, spec, config.latent)
        self.register_buffer("k", torch.zeros(()))
        self.register_buffer("errors", torch.zeros(2, 2))
        """Since k was last updated: the sum and the number of errors, of real images and of fakes."""

    def optimizers(self) -> dict[str, Optimizer]:
        made = self.config.optimizers
        return {
            "generator": made.of_generator(self.generator),
            "discriminator": made.of_discriminator(self.discriminator),
        }

    def stages(self) -> Sequence[Stage]:
        generate = Move("generator", self.generator_loss, after=self.balance)
        return [Stage("adversarial", self.config.rounds, [Move("discriminator", self.discriminator_loss), generate])]

    def error(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, " n"]:
        """L of each image, a mean over its numbers."""
        again, _ = self.discriminator(images)
        return (again.float() - images.float()).abs().flatten(1).mean(1)

    def discriminator_loss(self, real: Tensor, turn: Turn) -> Loss:
        with torch.no_grad():
            fake = self.sample(len(real))
        of_real = self._counted(REAL, self.error(real))
        return Loss({"real": of_real.mean(), "fake": -self.k.clone() * self.error(fake).mean()}, {"k": self.k.clone()})

    def generator_loss(self, real: Tensor, turn: Turn) -> Loss:
        error = self._counted(FAKE, self.error(self.sample(len(real)))).mean()
        of_real = self._mean(REAL)
        return Loss({"error": error}, {"M": of_real + (self.config.gamma * of_real - error.detach()).abs()})

    def balance(self) -> None:
        """The next k."""
        self.k += self.config.rate * (self.config.gamma * self._mean(REAL) - self._mean(FAKE))
        self.k.clamp_(0, 1)
        self.errors.zero_()

    def _counted(self, side: int, errors: Tensor) -> Tensor:
        self.errors[side] += torch.stack([errors.detach().sum(), errors.new_tensor(len(errors))])
        return errors

    def _mean(self, side: int) -> Tensor:
        total, n = self.errors[side]
        return total / n
