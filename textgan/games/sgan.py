"""SGAN: stacked generative adversarial networks (Huang, Li, Poursaeed, Hopcroft and Belongie, 2017).

An encoder first learns the categories of images. Its levels are h_0, the image, h_1, ..., and h_N, the category. A
stack of generators inverts it, top down; each level has a discriminator of its own and minimises the sum of an
adversarial, a conditional and an entropy loss::

    h~_i = G_i(h_{i+1}, z_i)        L_i = -E log D_i(h~_i) + l_c E f(E_i(h~_i), h_{i+1}) + l_e E |Q_i(h~_i) - z_i|^2

f is the cross-entropy where h_{i+1} is the category, else the squared distance. Q_i, which guesses z_i and so keeps
h~_i varied, shares all but the last layer with D_i and is trained with it. Each level first learns alone, given
h_{i+1} of real images, then all together, given what the generators above make.

Differs from the paper: latents are Gaussian; of the top level, whose condition is the category, fakes have that of the
real images; what a generator above made is a condition, and not what the conditional loss moves, while the rest of the
gradient flows through it; l_e is 1 by default, not 10; in the joint stage one optimiser has all generators, and one
all discriminators; sizes are for small images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.optim import Optimizer

from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.errors import check_above_zero, check_at_least, check_fields
from textgan.game import Loss, Move, Stage, Turn
from textgan.latents import draw_latents
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.networks.image_stacked import StackedDiscriminator, StackedEncoder, StackedGenerator
from textgan.networks.modes import evaluating
from textgan.parts.image_game import ImageGameConfig
from textgan.parts.labelled_image_game import LabelledImageGame
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.referee import Score


@dataclass(frozen=True)
class Config(ImageGameConfig):
    """A stack. `generator` and `discriminator` are those of its images."""

    encoder: ImageDiscriminatorConfig = field(default_factory=ImageDiscriminatorConfig)
    """What makes the first features of an image."""
    features: tuple[int, ...] = (64,)
    """Numbers of each level between image and category, upwards."""
    hidden: int = 128
    """Units of a layer of their generators and discriminators."""
    latent: int = 8
    """Random numbers of each level."""
    encoder_rounds: int = 500
    """Rounds in which the encoder learns the categories."""
    rounds: int = 1000
    """Rounds of each level alone."""
    joint_rounds: int = 1000
    """Rounds of all levels together."""
    encoder_rate: float = 1e-3
    """Adam's step size of the encoder."""
    conditional: float = 1.0
    """l_c: weight of the conditional loss, a mean over numbers."""
    entropy: float = 1.0
    """l_e: weight of the entropy loss, a mean over numbers. With the paper's 10 small images say little
    else."""
    optimizers: OptimizersConfig = field(default_factory=lambda: OptimizersConfig(generator=1e-3, discriminator=2e-4))
    """How both sides of every level learn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "hidden", "encoder_rounds", "joint_rounds")
        check_above_zero("game", self, "encoder_rate")
        check_at_least(0, "game", self, "conditional", "entropy")
        check_fields("game", self, "at least one number, each at least 2", _are_sizes, "features")


def _are_sizes(features: tuple[int, ...]) -> bool:
    return len(features) > 0 and min(features) >= 2


_small = ImageDiscriminatorConfig(width=8)
TINY = Config(
    batch_size=16,
    rounds=3,
    encoder_rounds=3,
    joint_rounds=3,
    latent=8,
    features=(8, 8),
    hidden=8,
    generator=ImageGeneratorConfig(width=8),
    discriminator=_small,
    encoder=_small,
)


class Made(NamedTuple):
    """Something that a generator made."""

    fake: Tensor
    """h~_i: ``(n, size)``, or images."""
    above: Tensor
    """h_{i+1}, what it was made of: ``(n, size)``."""
    latents: Tensor
    """z_i: ``(n, latent)``."""


class SGAN(LabelledImageGame):
    """An encoder, a stack of generators and one of discriminators."""

    config: Config
    generator: StackedGenerator
    discriminator: StackedDiscriminator

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.encoder = StackedEncoder(config.encoder, spec, config.features)
        self.levels = list(range(len(config.features) + 1))

    def make_generator(self) -> StackedGenerator:
        c = self.config
        return StackedGenerator(c.generator, self.spec, c.features, c.hidden, c.latent)

    def make_discriminator(self) -> StackedDiscriminator:
        c, bias = self.config, self.referee.objective.has_level
        return StackedDiscriminator(c.discriminator, self.spec, c.features, c.hidden, c.latent, bias)

    def optimizers(self) -> dict[str, Optimizer]:
        made, judge = self.config.optimizers, self.discriminator
        found: dict[str, Optimizer] = {
            "encoder": torch.optim.Adam(self.encoder.parameters(), lr=self.config.encoder_rate),
            **super().optimizers(),
        }
        for level in self.levels:
            found[f"generator_{level}"] = made.of_generator(self.generator.levels[level])
            networks = judge.trunks[level], judge.scores[level], judge.guesses[level]
            found[f"discriminator_{level}"] = made.of_discriminator(*networks)
        return found

    def stages(self) -> Sequence[Stage]:
        """The encoder; each level alone, the highest first; all levels."""
        config = self.config
        return [
            Stage("encoder", config.encoder_rounds, [Move("encoder", self.classify)], watched=False),
            *[
                Stage(f"level_{level}", config.rounds, self.moves([level], f"_{level}"), watched=level == 0)
                for level in reversed(self.levels)
            ],
            Stage("joint", config.joint_rounds, self.moves(self.levels, "")),
        ]

    def moves(self, levels: list[int], suffix: str) -> list[Move]:
        """Of some levels, by the players whose names end so."""
        steps = self.config.discriminator_steps
        return [
            Move(f"discriminator{suffix}", partial(self.levels_loss, levels), steps),
            Move(f"generator{suffix}", partial(self.levels_generator_loss, levels)),
        ]

    def latents(self, n: int) -> Float[Tensor, "n size"]:
        """Those of all levels, the image's first."""
        device = next(self.generator.parameters()).device
        return draw_latents(n, len(self.levels) * self.config.latent, self.config.latents, device)

    def decode(  # type: ignore[override]
        self, latents: Float[Tensor, "n size"], category: Int[Tensor, " n"]
    ) -> Float[Tensor, "n c height width"]:
        return self.generator(latents, category)[0]

    def sheets(self) -> dict[str, Float[Tensor, "rows columns channels height width"]]:
        """A row has one category and one set of features, each column other latents of the lowest level."""
        latents = self.latents(64).unflatten(0, (8, 8))
        latents[:, :, self.config.latent :] = latents[:, :1, self.config.latent :]
        category = self.in_turn(8).repeat_interleave(8)
        return {"levels": self.decode(latents.flatten(0, 1), category).unflatten(0, (8, 8))}

    def classify(self, real: LabelledImages, turn: Turn) -> Loss:
        """The encoder's."""
        logits = self.encoder(real.image)[-1].float()
        right = (logits.argmax(1) == real.category).float().mean()
        return Loss({"cross_entropy": F.cross_entropy(logits, real.category)}, {"accuracy": right})

    def levels_loss(self, levels: list[int], real: LabelledImages, turn: Turn) -> Loss:
        """The discriminators' and Q's of some levels."""
        truth = self.truth(real)
        with torch.no_grad():
            fakes = self.fakes(levels, truth)
        terms: dict[str, Tensor] = {}
        info: dict[str, Tensor] = {}
        for level, made in fakes.items():
            loss = self.referee.discriminator(self.score(level), truth[level], made.fake, turn)
            more = {"entropy": self.entropy(level, made)}
            terms |= {f"{name}/level_{level}": term for name, term in {**loss.terms, **more}.items()}
            info |= {f"{name}/level_{level}": value for name, value in loss.info.items()}
        return Loss(terms, info)

    def levels_generator_loss(self, levels: list[int], real: LabelledImages, turn: Turn) -> Loss:
        """The generators' of some levels."""
        truth = self.truth(real)
        terms: dict[str, Tensor] = {}
        for level, made in self.fakes(levels, truth).items():
            found = {
                "adversarial": self.referee.generator(self.score(level), truth[level], made.fake, turn),
                "conditional": self.conditional(level, made),
                "entropy": self.entropy(level, made),
                **(self.referee.diversity(made.fake, made.latents) if level == 0 else {}),
            }
            terms |= {f"{name}/level_{level}": term for name, term in found.items()}
        return Loss(terms)

    def truth(self, real: LabelledImages) -> list[Float[Tensor, "n ..."]]:
        """All levels of real images; the last is the category, a 1 among 0s."""
        with torch.no_grad(), evaluating(self.encoder):
            found = self.encoder(real.image)
        return [*found[:-1], F.one_hot(real.category, len(self.spec.categories)).float()]

    def fakes(self, levels: list[int], truth: list[Float[Tensor, "n ..."]]) -> dict[int, Made]:
        """Of levels that follow upon each other: the highest is given what is true above it, each other the fake."""
        latents = self.latents(len(truth[0]))
        above, found = truth[levels[-1] + 1], {}
        for level in reversed(levels):
            part = self.generator.of_level(latents, level)
            fake = self.generator.step(level, above, part)
            found[level] = Made(fake, above.detach(), part)
            above = fake
        return found

    def score(self, level: int) -> Score:
        """How real a level's discriminator takes something for."""
        return partial(self.discriminator.score, level)

    def conditional(self, level: int, made: Made) -> Tensor:
        """What the encoder makes of a fake against what the fake was made of, weighted."""
        with evaluating(self.encoder):
            found = self.encoder.step(level, made.fake).float()
        measure = F.cross_entropy if level == self.levels[-1] else F.mse_loss
        return self.config.conditional * measure(found, made.above.float())

    def entropy(self, level: int, made: Made) -> Tensor:
        """How far Q's guess of the latents of a fake lies from them, weighted."""
        guess = self.discriminator.guess(level, made.fake)
        return self.config.entropy * F.mse_loss(guess.float(), made.latents)
