"""A generator of images of given images against a discriminator: what image-to-image games share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError, check_at_least
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.losses import ObjectiveName
from textgan.networks.image_blocks import as_large_as
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.referee import Referee, Score, TricksConfig

Batch = tuple[Tensor, Tensor]
"""What is given, and real images of what is to be made: pairs (`ImagePairs`), or not (`UnpairedImages`)."""


@dataclass(frozen=True)
class TranslationConfig:
    """Options of every such game, whatever its networks are."""

    batch_size: int = 32
    """Given images, and real ones, of each step."""
    rounds: int = 2000
    """Rounds of the game; each has one step of the generator."""
    discriminator_steps: int = 1
    """Steps of the discriminator a round."""
    loss: ObjectiveName = "standard"
    """The adversarial objective."""
    adversarial: float = 1.0
    """Weight of its half in the generator's loss."""
    optimizers: OptimizersConfig = field(default_factory=OptimizersConfig)
    tricks: TricksConfig = field(default_factory=TricksConfig)

    def __post_init__(self) -> None:
        check_at_least(2, "game", self, "batch_size")
        check_at_least(1, "game", self, "rounds", "discriminator_steps")
        check_at_least(0, "game", self, "adversarial")
        if self.tricks.diversity:
            raise UserError(f"tricks.diversity is {self.tricks.diversity}; without latent vectors it must be 0")


class TranslationGame(Game):
    """Two players, one stage. A subclass says what it is played on, what its networks are, and what else it asks for.

    ``generator(source)`` makes images; ``discriminator(images)`` scores them.
    """

    def __init__(self, config: TranslationConfig, spec: ImageSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        self.batch_size = config.batch_size
        self.referee = Referee(config.loss, config.tricks)
        self.generator = self.make_generator()
        self.discriminator = self.make_discriminator()

    def make_generator(self) -> nn.Module:
        raise NotImplementedError

    def make_discriminator(self) -> nn.Module:
        raise NotImplementedError

    def optimizers(self) -> dict[str, Optimizer]:
        made = self.config.optimizers
        return {
            "generator": made.of_generator(self.generator),
            "discriminator": made.of_discriminator(self.discriminator),
        }

    def stages(self) -> Sequence[Stage]:
        return [self.adversarial()]

    def adversarial(self) -> Stage:
        """The game itself."""
        discriminate = Move("discriminator", self.discriminator_loss, self.config.discriminator_steps)
        return Stage("adversarial", self.config.rounds, [discriminate, Move("generator", self.generator_loss)])

    def sample(
        self, n: int, source: Float[Tensor, "n channels height width"]
    ) -> Float[Tensor, "n channels2 height2 width2"]:
        """What is made of `n` given images."""
        return self.generator(source)

    def judges(self, source: Tensor) -> Sequence[Score]:
        """The discriminator's scores of images that are made of `source`, as functions of these images alone."""
        return [self.discriminator]

    def discriminator_loss(self, batch: Batch, turn: Turn) -> Loss:
        source, real = batch
        with torch.no_grad():
            fake = self.generator(source)
        return self.told_apart(self.judges(source), real, fake, turn)

    def generator_loss(self, batch: Batch, turn: Turn) -> Loss:
        source, real = batch
        fake = self.generator(source)
        deceived = self.deceived(self.judges(source), real, fake, turn)
        return Loss({"adversarial": deceived, **self.likeness(fake, source, real)})

    def likeness(self, fake: Tensor, source: Tensor, real: Tensor) -> dict[str, Tensor]:
        """Further terms of the generator's loss, weighted: what it has to keep."""
        return {}

    def told_apart(self, judges: Sequence[Score], real: Tensor, fake: Tensor, turn: Turn) -> Loss:
        """What discriminators minimise: terms are sums over judges, info means."""
        losses = [self.referee.discriminator(judge, real, fake, turn) for judge in judges]
        terms = {name: sum_of([loss.terms[name] for loss in losses]) for name in losses[0].terms}
        return Loss(
            terms, {name: sum_of([loss.info[name] for loss in losses]) / len(losses) for name in losses[0].info}
        )

    def deceived(self, judges: Sequence[Score], real: Tensor, fake: Tensor, turn: Turn) -> Tensor:
        """The adversarial term of a generator's loss, a sum over judges, weighted."""
        losses = [self.referee.generator(judge, real, fake, turn) for judge in judges]
        return self.config.adversarial * sum_of(losses)


def sum_of(scalars: Sequence[Tensor]) -> Float[Tensor, ""]:
    """Their sum."""
    return torch.stack(list(scalars)).sum()


def distance(made: Tensor, wanted: Tensor) -> Float[Tensor, ""]:
    """The mean absolute difference of two numbers."""
    return (made.float() - wanted.float()).abs().mean()


def squared_distance(made: Tensor, wanted: Tensor) -> Float[Tensor, ""]:
    """The mean squared difference of two numbers."""
    return (made.float() - wanted.float()).square().mean()


def beside(
    source: Float[Tensor, "n channels rows columns"], images: Float[Tensor, "m channels2 height width"]
) -> Float[Tensor, "m both height width"]:
    """Images behind what they are made of, enlarged where it is smaller; images are of one batch, or of two."""
    given = as_large_as(source, *images.shape[2:]).repeat(len(images) // len(source), 1, 1, 1)
    return torch.cat([given, images], 1)
