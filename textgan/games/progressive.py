"""Progressive growing of GANs (Karras, Aila, Laine and Lehtinen, 2018).

Both networks begin with images of the smallest size. Then, size after size, layers are faded in and trained: with
alpha rising from 0 to 1 over a stage, what is seen is::

    x = (1 - alpha) double(G_{k-1}(z)) + alpha G_k(z)

and the features of D, and real images, are mixed in the same way. The critic is WGAN-GP's, with a drift term that keeps
its scores near 0::

    L_D = E f(G(z)) - E f(x) + 10 E (|grad f(x^)| - 1)^2 + 0.001 E f(x)^2            L_G = -E f(G(z))

Weights are from N(0, 1) and scaled as they are used (equalised learning rate); G divides the numbers of each place by
the root of their mean square (pixel norm); D knows the deviation of its batch. Adam has beta1 0 and beta2 0.99; what
is sampled is well averaged over the steps (``trainer.ema: 0.999``).

Differs from the paper: the smallest size is the image's, halved until 3 or 4 pixels are left; widths are for small
images, step sizes, four times the paper's, for short runs; the deviation of the batch, of all of it, is a feature more
after the last convolution; the batch has one size throughout; optimisers go on as the networks grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from textgan.errors import check_above_zero, check_at_least
from textgan.game import Act, Loss, Move, Stage, Turn
from textgan.losses import ObjectiveName, gradient_penalty
from textgan.networks.image_growing import GrowingDiscriminator, GrowingGenerator, shown
from textgan.networks.image_pyramid import enlarge
from textgan.parts.image_game import LatentImageGame, LatentImageGameConfig
from textgan.parts.optimizers import OptimizersConfig


@dataclass(frozen=True)
class Config(LatentImageGameConfig):
    """Networks that grow."""

    batch_size: int = 32
    """Real images, and fakes, of each step."""
    rounds: int = 1500
    """Rounds of the image's size, when its layers are there."""
    level_rounds: int = 400
    """Those of each smaller size."""
    fade_rounds: int = 400
    """Rounds in which the layers of each further size are faded in."""
    width: int = 16
    """Maps of the largest size; twice as many of each smaller one."""
    most: int = 64
    """Maps at most."""
    loss: ObjectiveName = "wasserstein"
    """The adversarial objective."""
    penalty: float = 10.0
    """Weight of the gradient penalty."""
    drift: float = 1e-3
    """Weight of the mean square of real scores."""
    optimizers: OptimizersConfig = field(
        default_factory=lambda: OptimizersConfig(generator=4e-3, discriminator=4e-3, beta1=0.0, beta2=0.99)
    )
    """How both sides learn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "level_rounds", "fade_rounds", "width", "most")
        check_above_zero("game", self, "penalty")
        check_at_least(0, "game", self, "drift")


TINY = Config(batch_size=16, rounds=3, level_rounds=3, fade_rounds=3, discriminator_steps=2, latent=8, width=8, most=8)


class Progressive(LatentImageGame):
    """A generator and a critic that grow. How far they have is a buffer, which an act sets at the start of a round."""

    config: Config
    generator: GrowingGenerator
    growth: Tensor

    def make_generator(self) -> GrowingGenerator:
        self.register_buffer("growth", torch.zeros(()))
        return GrowingGenerator(self.spec, self.config.latent, self.config.width, self.config.most)

    def make_discriminator(self) -> GrowingDiscriminator:
        bias = self.referee.objective.has_level or self.config.drift > 0
        return GrowingDiscriminator(self.spec, self.config.width, self.config.most, bias)

    def stages(self) -> Sequence[Stage]:
        """One of the smallest size, two of each other."""
        config, sizes = self.config, self.generator.sizes
        train = [
            Move("discriminator", self.discriminator_loss, config.discriminator_steps),
            Move("generator", self.generator_loss),
        ]
        found = []
        for level, (height, width) in enumerate(sizes):
            name, grown = f"{height}x{width}", level + 1 == len(sizes)
            if level:
                fade = Act(partial(self.grow, level - 1, True))
                found.append(Stage(f"fade_{name}", config.fade_rounds, [fade, *train], watched=False))
            stay, rounds = Act(partial(self.grow, level, False)), config.rounds if grown else config.level_rounds
            found.append(Stage(f"train_{name}", rounds, [stay, *train], watched=grown))
        return found

    def grow(self, level: int, fades: bool, turn: Turn) -> None:
        """To a level, or from it towards the next, with the progress of the stage."""
        self.growth.fill_(level + (turn.progress if fades else 0.0))

    def score(self, images: Float[Tensor, "n c height width"]) -> Float[Tensor, " n"]:
        """The critic's, of images of the size that is reached."""
        return self.discriminator(images, self.growth.item())

    def decode(self, latents: Float[Tensor, "n size"]) -> Float[Tensor, "n channels height width"]:
        """The images of latent vectors, enlarged where the networks have not grown up."""
        images = self.generator(latents, self.growth.item())
        reached = self.generator.sizes.index((images.shape[2], images.shape[3]))
        return enlarge(images, self.generator.sizes[reached + 1 :]).clamp(-1, 1)

    def discriminator_loss(self, real: Tensor, turn: Turn) -> Loss:
        real = self.shown(real)
        with torch.no_grad():
            fake = self.generator(self.latents(len(real)), self.growth.item())
        of_real, of_fake = self.referee.scores(self.score, real, fake, turn)
        loss = self.referee.discriminator_of(of_real, of_fake)
        penalty = self.config.penalty * gradient_penalty(self.score, real, fake)
        drift = self.config.drift * of_real.float().square().mean()
        return Loss({**loss.terms, "penalty": penalty, "drift": drift}, loss.info)

    def generator_loss(self, real: Tensor, turn: Turn) -> Loss:
        latents = self.latents(len(real))
        fake = self.generator(latents, self.growth.item())
        adversarial = self.referee.generator(self.score, self.shown(real), fake, turn)
        return Loss({"adversarial": adversarial, **self.referee.diversity(fake, latents)})

    def shown(self, real: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n channels h w"]:
        """Real images at the size that is reached."""
        return shown(real, self.growth.item(), len(self.generator.sizes))
