"""InfoGAN: interpretable representation learning by information maximising GANs (Chen et al., 2016).

A latent vector is noise z and codes c: categorical ones, uniform over their values and given one-hot, and continuous
ones, uniform on [-1, 1]. The generator has to keep them readable. Q, an auxiliary distribution with the discriminator's
features and layers of its own, reads them off a fake; it is categorical, or Gaussian with a mean and a deviation::

    L_D = -E log D(x) - E log(1 - D(G(z, c)))        L_G = -E log D(G(z, c))
    I(c; G(z, c)) >= H(c) + E log Q(c | G(z, c))                                             (equation 5)

Both sides' losses have the further term - w E log Q(c | G(z, c)), of w = `information` for categorical codes and of
`continuous_information` for the others: the generator minimises it in its move, with Q held fixed; Q, and the features
that it shares, in the discriminator's, with fakes held fixed. It is logged as the bound on I, in nats.

Differs from the paper: DCGAN's losses of the generator (-log D), as in its code; widths and depth follow the size of
the images; a deviation is 0.1 at least, so that no code is worth more than it can carry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.errors import UserError, check_above_zero, check_at_least, check_fields
from textgan.game import Loss, Turn
from textgan.networks.image_codes import CodeReader
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGenerator, ImageGeneratorConfig
from textgan.networks.modes import evaluating
from textgan.parts.image_game import ImageGame, ImageGameConfig
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.spoken_scores import SpokenScores

LEAST_DEVIATION = 0.1
SHOWN = 10
"""Rows of a sheet of codes, and columns where a code is continuous."""
FARTHEST = 2.0
"""How far a sheet follows a continuous code, beyond what it is drawn from, as the paper's figures do."""


@dataclass(frozen=True)
class Config(ImageGameConfig):
    """A generator with codes."""

    rounds: int = 3000
    """Rounds; each has one step of the generator."""
    categorical: tuple[int, ...] = (10,)
    """Values that each categorical code has."""
    continuous: int = 2
    """Continuous codes."""
    information: float = 1.0
    """w of the categorical codes."""
    continuous_information: float = 0.1
    """w of the continuous ones."""
    hidden: int = 128
    """Units of the hidden layer that reads codes from features."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """The network of the features."""
    optimizers: OptimizersConfig = field(default_factory=lambda: OptimizersConfig(generator=1e-3, discriminator=2e-4))
    """How both sides learn; the paper's step sizes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields("game", self, "of at least 2 values each", lambda of: all(k >= 2 for k in of), "categorical")
        check_at_least(0, "game", self, "continuous")
        check_at_least(1, "game", self, "hidden")
        check_above_zero("game", self, "information", "continuous_information")
        if not self.categorical and not self.continuous:
            raise UserError("game.categorical is () and game.continuous is 0; there must be at least one code")


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    categorical=(3,),
    hidden=8,
    generator=ImageGeneratorConfig(width=8),
    discriminator=ImageDiscriminatorConfig(width=8, norm="batch"),
)


class InfoGAN(ImageGame):
    """A generator of noise and codes, and a discriminator that reads the codes."""

    config: Config

    def make_generator(self) -> nn.Module:
        codes = sum(self.config.categorical) + self.config.continuous
        return ImageGenerator(self.config.generator, self.spec, self.config.latent + codes)

    def make_discriminator(self) -> nn.Module:
        config = self.config
        outputs = sum(config.categorical) + 2 * config.continuous
        return CodeReader(
            config.discriminator, self.spec, outputs, config.hidden, bias=self.referee.objective.has_level
        )

    def latents(self, n: int) -> Float[Tensor, "n size"]:
        """Noise, then the categorical codes one-hot, then the continuous ones."""
        noise = super().latents(n)
        device = noise.device
        drawn = [F.one_hot(torch.randint(k, (n,), device=device), k).float() for k in self.config.categorical]
        return torch.cat([noise, *drawn, 2 * torch.rand(n, self.config.continuous, device=device) - 1], 1)

    def discriminator_loss(self, real: Tensor, turn: Turn) -> Loss:
        n = len(real)
        latents = self.latents(n)
        with torch.no_grad():
            fake = self.decode(latents)
        scores = SpokenScores(self.discriminator)
        loss = self.referee.discriminator(scores, real, fake, turn)
        unread, bounds = self._unread(latents, scores.of_last(n))
        return Loss({**loss.terms, **unread}, {**loss.info, **bounds})

    def generator_loss(self, real: Tensor, turn: Turn) -> Loss:
        latents = self.latents(len(real))
        fake = self.decode(latents)
        scores = SpokenScores(self.discriminator)
        adversarial = self.referee.generator(scores, real, fake, turn)
        unread, bounds = self._unread(latents, scores.of_last(len(real)))
        return Loss({"adversarial": adversarial, **unread, **self.referee.diversity(fake, latents)}, bounds)

    def _unread(self, latents: Tensor, said: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The weighted terms, and the bounds on the information of each kind of code."""
        config = self.config
        *values, numbers = latents[:, config.latent :].split([*config.categorical, config.continuous], 1)
        *logits, gaussian = said.float().split([*config.categorical, 2 * config.continuous], 1)
        terms, bounds = {}, {}
        if config.categorical:
            pairs = zip(logits, values, strict=True)
            unread = torch.stack([F.cross_entropy(q, value) for q, value in pairs]).sum()
            terms["categorical"] = config.information * unread
            bounds["information/categorical"] = sum(map(math.log, config.categorical)) - unread
        if config.continuous:
            mean, raw = gaussian.chunk(2, 1)
            unread = gaussian_nll(numbers, mean, LEAST_DEVIATION + F.softplus(raw))
            terms["continuous"] = config.continuous_information * unread
            bounds["information/continuous"] = config.continuous * math.log(2) - unread
        return terms, bounds

    @torch.no_grad()
    def codes_of(self, images: Float[Tensor, "n channels height width"]) -> Int[Tensor, " n"]:
        """The likeliest value of the first categorical code of each image, by Q; 0 where there is no such code."""
        if not self.config.categorical:
            return torch.zeros(len(images), dtype=torch.int64, device=images.device)
        with evaluating(self.discriminator):
            return self.discriminator(images)[:, 1 : 1 + self.config.categorical[0]].argmax(1)

    def sheets(self) -> dict[str, Tensor]:
        """For each code the images of ``(rows, columns, C, H, W)``: one column a value, all else the same in a row.

        Columns of a continuous code go from -2 to 2. Rows differ in noise and in all other codes.
        """
        place, sheets = self.config.latent, {}
        for i, k in enumerate(self.config.categorical):
            sheets[f"categorical code {i + 1}"] = self._sheet(slice(place, place + k), torch.eye(k))
            place += k
        for j in range(self.config.continuous):
            values = torch.linspace(-FARTHEST, FARTHEST, SHOWN)[:, None]
            sheets[f"continuous code {j + 1}"] = self._sheet(slice(place + j, place + j + 1), values)
        return sheets

    def _sheet(self, places: slice, values: Float[Tensor, "columns size"]) -> Tensor:
        rows = self.latents(SHOWN)
        latents = rows.repeat_interleave(len(values), 0)
        latents[:, places] = values.to(latents.device).repeat(len(rows), 1)
        return self.decode(latents).unflatten(0, (len(rows), len(values)))


def gaussian_nll(
    x: Float[Tensor, "n size"], mean: Float[Tensor, "n size"], deviation: Float[Tensor, "n size"]
) -> Float[Tensor, ""]:
    """``-E sum log N(x; mean, deviation^2)`` in nats, the sum over the numbers of a row."""
    z = (x - mean) / deviation
    return (z.square() / 2 + deviation.log() + math.log(2 * math.pi) / 2).sum(1).mean()
