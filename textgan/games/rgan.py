"""RGAN: real-valued time series by a recurrent GAN (Esteban, Hyland and Ratsch, 2017).

An LSTM reads a new latent vector at every step and writes a number, or one a channel; another one reads a series and
gives a score at every step, all of which count alike::

    x_t = A h_t + b, h_t = LSTM_G(h_t-1, z_t), z_t ~ N(0, I)        D_t = s(a . LSTM_D(x_1..t) + c)

    L_D = -1/T sum_t E log D_t(real) - 1/T sum_t E log(1 - D_t(fake))        L_G = -1/T sum_t E log D_t(fake)

With ``feedback`` the generator reads x_t-1 as well and with ``both_ways`` the discriminator reads from both ends: these
are the networks of C-RNN-GAN (Mogren, 2016; there of two layers).

Differs from the paper: outputs have no tanh, since growth rates have no bounds; Adam for both, where its code has plain
gradient descent for the discriminator; no conditions (RCGAN). Of C-RNN-GAN, feature matching and the freezing of a
player that is too strong are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, nn

from textgan.networks.series_recurrent import RecurrentConfig, RecurrentDiscriminator, RecurrentGenerator
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.series_game import SeriesGame
from textgan.parts.two_player import TwoPlayerConfig


@dataclass(frozen=True)
class Config(TwoPlayerConfig):
    """Two LSTMs."""

    rounds: int = 2000
    """Rounds; each has one step of the generator."""
    latent: int = 5
    """Numbers of a latent vector; there is one at every step."""
    generator: RecurrentConfig = field(default_factory=RecurrentConfig)
    """The generator."""
    discriminator: RecurrentConfig = field(default_factory=RecurrentConfig)
    """The discriminator."""
    feedback: bool = False
    """The generator reads its last output too."""
    both_ways: bool = False
    """The discriminator reads from both ends: a step's score is of the whole series."""
    optimizers: OptimizersConfig = field(default_factory=lambda: OptimizersConfig(generator=1e-3, discriminator=1e-3))
    """How both sides learn."""


TINY = Config(
    batch_size=16, rounds=3, latent=3, generator=RecurrentConfig(hidden=8), discriminator=RecurrentConfig(hidden=8)
)


class RGAN(SeriesGame):
    """A generator and a discriminator that go through time."""

    config: Config

    def make_generator(self) -> nn.Module:
        return RecurrentGenerator(self.config.generator, self.spec, self.config.latent, self.config.feedback)

    def make_discriminator(self) -> nn.Module:
        bias = self.referee.objective.has_level
        return RecurrentDiscriminator(self.config.discriminator, self.spec, self.config.both_ways, bias)

    def latents(self, n: int) -> Float[Tensor, "n length size"]:
        """A latent vector for each step of `n` series."""
        return super().latents(n * self.spec.length).unflatten(0, (n, self.spec.length))
