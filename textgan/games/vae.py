"""VAE: auto-encoding variational Bayes, of images (Kingma and Welling, 2014).

The encoder says q(z|x) = N(mu, diag(s^2)), the decoder p(x|z). Both minimise minus the evidence lower bound, an upper
bound of -log p(x) in nats, with one draw z = mu + s e, e ~ N(0, I), for each image (equations 3 and 10)::

    L = E [-log p(x|z)] + beta KL(q(z|x) || N(0, I))
    KL = 1/2 sum_j (mu_j^2 + s_j^2 - 1 - log s_j^2)

p(x|z) is Bernoulli, a level of grey being a share of light, or Gaussian with one deviation for all numbers, which is
learned. What is sampled is the mean of p(x|z), z ~ N(0, I). There is no discriminator: it is the reference that
adversarial games with an encoder are held against.

Differs from the paper: convolutions for one hidden layer; Adam for Adagrad; the Gaussian has one deviation, not one for
each pixel; beta, 1 by default, is Higgins et al.'s (2017).
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from textgan.game import Loss, Turn
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.parts.variational_game import VariationalConfig, VariationalGame


@dataclass(frozen=True)
class Config(VariationalConfig):
    """A variational autoencoder."""


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    generator=ImageGeneratorConfig(width=8),
    encoder=ImageDiscriminatorConfig(width=8),
)


class VAE(VariationalGame):
    """An encoder and a decoder."""

    def encode(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n size"]:
        return self.encoder(images).mean

    def loss(self, real: Tensor, turn: Turn) -> Loss:
        posterior = self.encoder(real)
        return self.bound(real, posterior, self.generator.raw(posterior.draw()))
