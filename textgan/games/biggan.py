"""BigGAN: large scale GAN training for high fidelity natural image synthesis (Brock, Donahue and Simonyan, 2019).

The hinge game of images x of categories y, two discriminator steps a round::

    L_D = E max(0, 1 - D(x, y)) + E max(0, 1 + D(G(z, y), y))        L_G = -E D(G(z, y), y) + b R(G)

D is a projection, psi(phi(x)) + <v_y, phi(x)>. G is residual; each block's batch norms have gains and biases that are
linear in an embedding of y, which all share, and in the block's own part of z (skip-z). Both have spectral
normalisation and orthogonal initial weights, embeddings aside. R = sum over weights W of |W W^T * (1 - I)|_F^2
(equation 3) keeps the filters of G apart. ``sample(n, truncation=t)`` redraws the numbers of z beyond t: images are
better then, and more alike.

Differs from the paper: no self-attention; blocks of the discriminator as WGAN-GP has them, its features not summed over
places; gains and biases are 1 and 0 plus what the condition adds; step sizes of a small game. Averaged weights are the
trainer's ``--trainer.ema``, off by default, with the batch norms' statistics of the weights that play, not standing
statistics. ``configs/biggan-faces.yaml`` has the paper's step sizes and average.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.images.spec import LabelledImages
from textgan.errors import UserError, check_at_least, check_fields
from textgan.game import Loss, Turn
from textgan.losses import ObjectiveName
from textgan.networks.image_conditioning import ProjectionDiscriminator
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_skip_latents import SkipLatentGenerator, draw_orthogonal, orthogonal_penalty
from textgan.parts.image_game import LatentImageGameConfig
from textgan.parts.labelled_image_game import LabelledImageGame
from textgan.parts.optimizers import OptimizersConfig


@dataclass(frozen=True)
class Config(LatentImageGameConfig):
    """A small BigGAN."""

    rounds: int = 800
    """Rounds; each has one step of the generator."""
    discriminator_steps: int = 2
    """Steps of the discriminator a round."""
    loss: ObjectiveName = "hinge"
    """The adversarial objective."""
    width: int = 32
    """Channels of the generator's largest maps, twice as many in each smaller one."""
    embedding: int = 32
    """Numbers of the category's vector, which all layers of the generator share."""
    spectral: bool = True
    """Spectral normalisation of the generator."""
    orthogonal: float = 1e-4
    """b: weight of the orthogonal regularisation of the generator. 0: off."""
    discriminator: ImageDiscriminatorConfig = field(
        default_factory=lambda: ImageDiscriminatorConfig(kind="resnet", width=16, spectral=True)
    )
    """The network of the features."""
    optimizers: OptimizersConfig = field(
        default_factory=lambda: OptimizersConfig(generator=5e-4, discriminator=5e-4, beta1=0.0)
    )
    """How both sides learn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "width", "embedding")
        check_at_least(0, "game", self, "orthogonal")
        check_fields("game", self, "'gaussian', which is what truncation cuts off", "gaussian".__eq__, "latents")


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    width=8,
    embedding=4,
    discriminator=ImageDiscriminatorConfig(kind="resnet", width=8, spectral=True),
    optimizers=OptimizersConfig(discriminator=0.05, beta1=0.0),  # beyond the hinge's margin within three rounds
)


class BigGAN(LabelledImageGame):
    """A generator of residual blocks under a condition, and a projection discriminator."""

    config: Config

    def make_generator(self) -> nn.Module:
        config = self.config
        return SkipLatentGenerator(self.spec, config.latent, config.width, config.embedding, config.spectral)

    def make_discriminator(self) -> nn.Module:
        made = ProjectionDiscriminator(self.config.discriminator, self.spec, bias=self.referee.objective.has_level)
        draw_orthogonal(made)
        return made

    def sample(
        self, n: int, category: int | None = None, truncation: float | None = None
    ) -> Float[Tensor, "n channels height width"]:
        """Images of one category, or of each in turn; of latent numbers within `truncation`, where it is given."""
        latents = self.latents(n) if truncation is None else self.truncated(n, truncation)
        return self.decode(latents, self.in_turn(n, category))

    def truncated(self, n: int, limit: float) -> Float[Tensor, "n size"]:
        """Latent vectors of N(0, 1) numbers, each drawn again until it lies within [-limit, limit]."""
        if not 0 < limit < math.inf:
            raise UserError(f"truncation is {limit}; it must be above 0, and finite")
        device = next(self.generator.parameters()).device
        most = math.erf(limit / 2**0.5)
        uniform = 2 * torch.rand(n, self.config.latent, device=device) - 1
        return (2**0.5 * (most * uniform).erfinv()).clamp(-limit, limit)

    def generator_loss(self, real: LabelledImages, turn: Turn) -> Loss:  # type: ignore[override]
        loss = super().generator_loss(real, turn)
        weight = self.config.orthogonal
        return loss._replace(terms={**loss.terms, "orthogonal": weight * orthogonal_penalty(self.generator)})
