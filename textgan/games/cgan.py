"""cGAN: conditional generative adversarial nets (Mirza and Osindero, 2014).

Generator and discriminator are both told a category y, that of a real image::

    L_D = -E log D(x, y) - E log(1 - D(G(z, y), y))        L_G = -E log D(G(z, y), y)

In one of three ways (`join`) it joins a vector x: in the generator the latent vector, in the discriminator a hidden
layer of the image's features. A combined layer follows. e_y is a learned vector, 1_y one-hot::

    embedding: [x, e_y]        product (Hadamard): x * e_y, number by number        concatenation: [x, 1_y]

In the generator's product x is a hidden layer. Fakes have the categories of the batch's real images.

Differs from the paper: convolutions in place of fully connected maxout layers; Adam in place of decaying SGD; no
dropout. The paper has the first of the three ways, with hidden layers of z and y before the combined one; the default
here is the second, which learned to tell digits in half as many rounds, and with more variety within each.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from textgan.networks.image_conditioning import JoinedDiscriminator, JoinedGenerator, JoinName
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.parts.image_game import TINY_IMAGE_GAME, ImageGameConfig
from textgan.parts.labelled_image_game import LabelledImageGame


@dataclass(frozen=True)
class Config(ImageGameConfig):
    """Networks that are told a category."""

    rounds: int = 1500
    """Rounds; each has one step of the generator."""
    join: JoinName = "product"
    """How the category joins both networks: embedding, product or concatenation."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """The part of the discriminator that looks at images."""


TINY = Config(**TINY_IMAGE_GAME)


class CGAN(LabelledImageGame):
    """A generator and a discriminator under a condition."""

    config: Config

    def make_generator(self) -> nn.Module:
        return JoinedGenerator(self.config.generator, self.spec, self.config.latent, self.config.join)

    def make_discriminator(self) -> nn.Module:
        bias = self.referee.objective.has_level
        return JoinedDiscriminator(self.config.discriminator, self.spec, self.config.join, bias)
