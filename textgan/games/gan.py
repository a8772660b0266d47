"""GAN, fully connected, non-saturating or minimax (Goodfellow et al., 2014).

The discriminator maximises, the generator minimises the value of the game (equation 1)::

    V(D, G) = E log D(x) + E log(1 - D(G(z)))

At the optimum D is 1/2 everywhere and V is -2 ln 2. With ``loss: standard`` the generator maximises ``E log D(G(z))``
instead (section 3), whose gradient does not vanish where the discriminator is sure; ``saturating`` is the game itself.

Differs from the paper: leaky rectifiers and tanh for rectifiers with sigmoid units and maxout; Adam for momentum;
latents are Gaussian; sizes are for small images.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.parts.image_game import ImageGame, ImageGameConfig
from textgan.parts.optimizers import OptimizersConfig


@dataclass(frozen=True)
class Config(ImageGameConfig):
    """Fully connected networks."""

    rounds: int = 4000
    """Rounds; each has one step of the generator."""
    generator: ImageGeneratorConfig = field(default_factory=lambda: ImageGeneratorConfig(kind="mlp", width=256))
    """The network that makes examples."""
    discriminator: ImageDiscriminatorConfig = field(
        default_factory=lambda: ImageDiscriminatorConfig(kind="mlp", width=256, dropout=0.3)
    )
    """The network that tells them from real ones."""
    optimizers: OptimizersConfig = field(default_factory=lambda: OptimizersConfig(generator=5e-4, discriminator=5e-4))
    """How both sides learn."""


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    generator=ImageGeneratorConfig(kind="mlp", width=16),
    discriminator=ImageDiscriminatorConfig(kind="mlp", width=16),
)


class GAN(ImageGame):
    """Two multilayer perceptrons."""
