"""LAPGAN: a Laplacian pyramid of adversarial networks (Denton, Chintala, Szlam and Fergus, 2015).

With halving d and doubling u, an image is the smallest one of its pyramid, and what each larger one has beyond the one
before it::

    I_{k+1} = d(I_k)      l_k = u(I_{k+1})      h_k = I_k - l_k

Level by level, from the smallest, a conditional GAN learns h_k given l_k of real images, from noise z_k, one number a
place; the smallest level is a GAN of images::

    L_D = -E log D_k(l_k + h_k, l_k) - E log(1 - D_k(l_k + G_k(z_k, l_k), l_k))        L_G = -E log D_k(l_k + G_k, l_k)

An image is drawn from the smallest level up: ``I~_k = l~_k + G_k(z_k, l~_k)``.

Differs from the paper: levels learn in turn, one stage each; means of 2 x 2 pixels and doubled pixels for its blur;
D sees l_k beside l_k + h_k; convolutions at all levels, by default in the smallest generator too, but not in the
smallest discriminator (nor has the paper's any: of 4 x 4 pixels they see too little); batch norm in the smallest
generator and the larger discriminators, which have no dropout; Adam with beta1 0.5; every level's images are cut to
[-1, 1] when they are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError, check_at_least
from textgan.game import Act, Loss, Move, Stage, Turn
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGenerator
from textgan.networks.image_laplacian import PyramidGenerator, ResidualGenerator
from textgan.networks.image_pyramid import double, enlarge, halve, pyramid_sizes
from textgan.parts.image_game import ImageGame, ImageGameConfig
from textgan.parts.referee import Score


@dataclass(frozen=True)
class Config(ImageGameConfig):
    """A pyramid. `generator` is that of its smallest level, `discriminator` that of each."""

    rounds: int = 1500
    """Rounds of each level."""
    levels: int | None = None
    """Sizes, the image's among them. None: until 3 or 4 pixels a side are left."""
    width: int = 64
    """Maps of a larger level's generator."""
    layers: int = 3
    """Its convolutions before the last."""
    smallest: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(kind="mlp", width=256))
    """The discriminator of the smallest level."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """Of every larger level."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "width", "layers")
        check_at_least(2, "game", self, "levels")


_small = ImageDiscriminatorConfig(width=8, norm="batch")
TINY = Config(batch_size=16, rounds=3, latent=8, width=8, layers=1, discriminator=_small)


class LAPGAN(ImageGame):
    """A generator and a discriminator of each level. A buffer, which an act sets, knows the level that is reached."""

    config: Config
    generator: PyramidGenerator
    discriminator: nn.ModuleList
    reached: Tensor

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        most = len(pyramid_sizes(spec.height, spec.width))
        if config.levels is not None and config.levels > most:
            raise UserError(
                f"game.levels is {config.levels}; it must be at most {most} for images of {spec.width} x {spec.height}"
            )
        self.sizes = pyramid_sizes(spec.height, spec.width, config.levels)
        super().__init__(config, spec)
        self.register_buffer("reached", torch.zeros((), dtype=torch.long))

    def make_generator(self) -> PyramidGenerator:
        c, (height, width) = self.config, self.sizes[0]
        smallest = ImageGenerator(c.generator, replace(self.spec, height=height, width=width), c.latent)
        residuals = [ResidualGenerator(self.spec.channels, c.width, c.layers) for _ in self.sizes[1:]]
        return PyramidGenerator(smallest, c.latent, self.sizes, residuals)

    def make_discriminator(self) -> nn.ModuleList:
        found = []
        for level, (height, width) in enumerate(self.sizes):
            spec = replace(self.spec, height=height, width=width)
            extra, bias = self.spec.channels if level else 0, self.referee.objective.has_level
            config = self.config.discriminator if level else self.config.smallest
            found.append(ImageDiscriminator(config, spec, extra=extra, bias=bias))
        return nn.ModuleList(found)

    def optimizers(self) -> dict[str, Optimizer]:
        made, found = self.config.optimizers, {}
        for level, name in enumerate(self.names):
            found[f"generator_{name}"] = made.of_generator(self.generator.levels[level])
            found[f"discriminator_{name}"] = made.of_discriminator(self.discriminator[level])
        return found

    def stages(self) -> Sequence[Stage]:
        """One a level, the smallest first."""
        return [
            Stage(
                f"train_{name}",
                self.config.rounds,
                [
                    Act(partial(self.reach, level)),
                    Move(f"discriminator_{name}", partial(self.level_loss, level), self.config.discriminator_steps),
                    Move(f"generator_{name}", partial(self.level_generator_loss, level)),
                ],
                watched=level + 1 == len(self.sizes),
            )
            for level, name in enumerate(self.names)
        ]

    @property
    def names(self) -> list[str]:
        """Of the levels."""
        return [f"{height}x{width}" for height, width in self.sizes]

    def reach(self, level: int, turn: Turn) -> None:
        """From now on images have this level."""
        self.reached.fill_(level)

    def latents(self, n: int) -> Float[Tensor, "n size"]:
        """The smallest level's latents and, beside them, the noise of all others."""
        first = super().latents(n)
        return torch.cat([first, torch.randn(n, self.generator.inputs - first.shape[1], device=first.device)], 1)

    def decode(self, latents: Float[Tensor, "n size"]) -> Float[Tensor, "n channels height width"]:
        return self.generator(latents, int(self.reached))[-1]

    def sheets(self) -> dict[str, Float[Tensor, "rows columns channels height width"]]:
        """All levels of an image in a row, enlarged."""
        levels = self.generator(self.latents(8), int(self.reached))
        return {"pyramid": torch.stack([enlarge(x, self.sizes[k + 1 :]) for k, x in enumerate(levels)], 1)}

    def level_loss(self, level: int, real: Tensor, turn: Turn) -> Loss:
        """The discriminator's of a level."""
        image, low = self.split(real, level)
        with torch.no_grad():
            fake, _ = self.paint(level, len(real), low)
        return self.referee.discriminator(self.judge(level, low), image, fake, turn)

    def level_generator_loss(self, level: int, real: Tensor, turn: Turn) -> Loss:
        """The generator's of a level."""
        image, low = self.split(real, level)
        fake, noise = self.paint(level, len(real), low)
        adversarial = self.referee.generator(self.judge(level, low), image, fake, turn)
        return Loss({"adversarial": adversarial, **self.referee.diversity(fake, noise.flatten(1))})

    def split(self, real: Float[Tensor, "n channels height width"], level: int) -> tuple[Tensor, Tensor | None]:
        """I_k and l_k of a level; the smallest has no l_k."""
        image = halve(real, len(self.sizes) - 1 - level)
        return image, double(halve(image), self.sizes[level]) if level else None

    def paint(self, level: int, n: int, low: Tensor | None) -> tuple[Float[Tensor, "n channels height width"], Tensor]:
        """Fakes of a level, of which the larger ones add to `low`, and the noise they are made of."""
        noise = self.generator.noise(self.latents(n), level)
        network = self.generator.levels[level]
        return (network(noise) if low is None else low + network(noise, low)), noise

    def judge(self, level: int, low: Tensor | None) -> Score:
        """A level's discriminator as a function of images alone: of a batch, or of two, with these l_k."""
        network = self.discriminator[level]
        if low is None:
            return network
        return lambda images: network(torch.cat([images, low.repeat(len(images) // len(low), 1, 1, 1)], 1))
