"""Bayesian GAN: several generators, drawn from their posterior (Saatci and Wilson, 2017).

Weights have a prior N(0, s^2) and, given the other side's, a likelihood (equations 1 and 2)::

    p(w_G | z, w_D)    ~ prod_i D(G(z_i))                           p(w_G)
    p(w_D | z, x, w_G) ~ prod_i D(x_i)  prod_i (1 - D(G(z_i)))      p(w_D)

Chains of stochastic gradient Hamiltonian Monte Carlo draw from the two in turn (algorithm 1): a chain for each of
`generators` and each of `discriminators`, each averaged over all weights of the other side. The mean of -log p over the
N images of the corpus, which is what the chains are given, is the loss of the non-saturating game plus a weight decay::

    L_D = -E log D(x) - E log(1 - D(G(z))) + |w_D|^2 / (2 s^2 N)
    L_G = -E log D(G(z)) + |w_G|^2 / (2 s^2 N)

and the temperature 1/N makes it the posterior (`textgan.parts.sghmc`). Samples are of each generator in turn.

Differs from the paper: z is integrated over with one batch, not with several; the log likelihood is averaged, not
summed, over the other side's weights; the samples of a chain are its last ones alone; the default temperature is less
than 1/N, see `temperature`; no semi-supervised classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from textgan.data.images.spec import ImageSpec
from textgan.errors import check_above_zero, check_at_least, check_fields, check_share
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.latents import LatentName, draw_latents
from textgan.losses import OBJECTIVES, accuracy, discriminator_loss
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGenerator, ImageGeneratorConfig
from textgan.parts.decoder_game import DecoderConfig
from textgan.parts.latent_sheets import COLUMNS
from textgan.parts.sghmc import SGHMC


@dataclass(frozen=True)
class Config(DecoderConfig):
    """Chains of generators and discriminators."""

    rounds: int = 1200
    """Rounds; each has one step of every player."""
    latents: LatentName = "gaussian"
    """What latent vectors are drawn from."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """The network of each discriminator."""
    generators: int = 4
    """Generators; the paper has 10."""
    discriminators: int = 1
    """Discriminators; the paper has 1."""
    prior: float = 1.0
    """Standard deviation of the prior of every weight."""
    learning_rate: float = 1e-4
    """Step size of the chains."""
    friction: float = 0.5
    """Share of the momentum that is lost at each step, in (0, 1]."""
    decay: float = 0.999
    """Of the mean squared gradients that each weight's step is divided by the root of, in [0, 1). 0: by nothing, which
    is the paper's chain."""
    temperature: float = 1e-3
    """1: the posterior. Below: a colder one, nearer to its peaks. 0: no noise at all, an ensemble."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "generators", "discriminators")
        check_above_zero("game", self, "prior", "learning_rate")
        check_fields("game", self, "in (0, 1]", lambda value: 0 < value <= 1, "friction")
        check_share("game", self, "decay")
        check_at_least(0, "game", self, "temperature")


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    generator=ImageGeneratorConfig(width=8),
    discriminator=ImageDiscriminatorConfig(width=8),
    generators=2,
    discriminators=2,
)


class BayesianGAN(Game):
    """Two players, each of several networks of one kind."""

    data: ClassVar[str] = "images"

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        self.batch_size = config.batch_size
        made = [ImageGenerator(config.generator, spec, config.latent) for _ in range(config.generators)]
        self.generators = nn.ModuleList(made)
        judges = [ImageDiscriminator(config.discriminator, spec) for _ in range(config.discriminators)]
        self.discriminators = nn.ModuleList(judges)

    def optimizers(self) -> dict[str, Optimizer]:
        config = self.config
        temperature = config.temperature / self.spec.train_size
        return {
            player: SGHMC(networks.parameters(), config.learning_rate, config.friction, temperature, config.decay)
            for player, networks in (("generators", self.generators), ("discriminators", self.discriminators))
        }

    def stages(self) -> Sequence[Stage]:
        moves = [Move("discriminators", self.discriminators_loss), Move("generators", self.generators_loss)]
        return [Stage("adversarial", self.config.rounds, moves)]

    def latents(self, n: int) -> Float[Tensor, "n size"]:
        """`n` latent vectors, on the generators' device."""
        device = next(self.generators.parameters()).device
        return draw_latents(n, self.config.latent, self.config.latents, device)

    def sample(self, n: int) -> Float[Tensor, "n channels height width"]:
        """The first is the first generator's, the second the second's, and so on in turn."""
        latents, k = self.latents(n), len(self.generators)
        images = torch.empty(n, *self.spec.shape, device=latents.device)
        for i, generator in enumerate(list(self.generators)[:n]):
            images[i::k] = generator(latents[i::k]).float()
        return images

    def sheets(self) -> Mapping[str, Tensor]:
        """A row for each generator: what they make of the same latent vectors."""
        latents = self.latents(COLUMNS)
        return {"generators": torch.stack([generator(latents) for generator in self.generators])}

    def discriminators_loss(self, real: Tensor, turn: Turn) -> Loss:
        """The sum of each one's, on fakes of all generators."""
        with torch.no_grad():
            fake = self.sample(len(real))
        scores = [(discriminator(real), discriminator(fake)) for discriminator in self.discriminators]
        of_real, of_fake = (
            torch.stack(half).sum() for half in zip(*(discriminator_loss(*pair) for pair in scores), strict=True)
        )
        right = torch.stack([accuracy(*pair) for pair in scores]).mean()
        return Loss({"real": of_real, "fake": of_fake, "prior": self.decay(self.discriminators)}, {"accuracy": right})

    def generators_loss(self, real: Tensor, turn: Turn) -> Loss:
        """The sum of each one's, each the mean over the discriminators."""
        deceive = OBJECTIVES["standard"].generator
        found = []
        for generator in self.generators:
            fake = generator(self.latents(len(real)))
            scores = [discriminator(fake) for discriminator in self.discriminators]
            found.append(torch.stack([deceive(score, score) for score in scores]).mean())
        return Loss({"adversarial": torch.stack(found).sum(), "prior": self.decay(self.generators)})

    def decay(self, networks: nn.Module) -> Float[Tensor, ""]:
        """-log of the weights' prior, a constant aside, an image's share of it."""
        squares = torch.stack([weight.square().sum() for weight in networks.parameters()]).sum()
        return squares / (2 * self.config.prior**2 * self.spec.train_size)
