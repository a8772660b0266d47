"""A generator with a latent vector against a discriminator: what games of images and of series share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

from textgan.errors import check_at_least
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.latents import LatentName, draw_latents
from textgan.losses import ObjectiveName
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.referee import Referee, TricksConfig


@dataclass(frozen=True)
class TwoPlayerConfig:
    """Options of every game of two players with a latent vector, whatever its networks are."""

    batch_size: int = 64
    """Real examples, and fakes, of each step."""
    rounds: int = 3000
    """Rounds; each has one step of the generator."""
    discriminator_steps: int = 1
    """Steps of the discriminator a round."""
    latent: int = 64
    """Numbers of a latent vector."""
    latents: LatentName = "gaussian"
    """What they are drawn from."""
    loss: ObjectiveName = "standard"
    """The adversarial objective."""
    optimizers: OptimizersConfig = field(default_factory=OptimizersConfig)
    tricks: TricksConfig = field(default_factory=TricksConfig)

    def __post_init__(self) -> None:
        check_at_least(2, "game", self, "batch_size")
        check_at_least(1, "game", self, "rounds", "discriminator_steps", "latent")


class TwoPlayerGame(Game):
    """Two players, one stage. A subclass says what its networks are, and what its paper does otherwise."""

    def __init__(self, config: TwoPlayerConfig, spec: Any) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        self.batch_size = config.batch_size
        self.referee = self.make_referee()
        self.generator = self.make_generator()
        self.discriminator = self.make_discriminator()

    def make_referee(self) -> Referee:
        return Referee(self.config.loss, self.config.tricks)

    def make_generator(self) -> torch.nn.Module:
        raise NotImplementedError

    def make_discriminator(self) -> torch.nn.Module:
        raise NotImplementedError

    def optimizers(self) -> dict[str, Optimizer]:
        made = self.config.optimizers
        return {
            "generator": made.of_generator(self.generator),
            "discriminator": made.of_discriminator(self.discriminator),
        }

    def stages(self) -> Sequence[Stage]:
        steps = self.config.discriminator_steps
        discriminate = Move("discriminator", self.discriminator_loss, steps, after=self.after_discriminator)
        return [Stage("adversarial", self.config.rounds, [discriminate, Move("generator", self.generator_loss)])]

    def latents(self, n: int) -> Float[Tensor, "n *size"]:
        """`n` latent vectors, on the generator's device."""
        device = next(self.generator.parameters()).device
        return draw_latents(n, self.config.latent, self.config.latents, device)

    def decode(self, latents: Float[Tensor, "n *size"]) -> Float[Tensor, "n *shape"]:
        """The examples of latent vectors."""
        return self.generator(latents)

    def sample(self, n: int) -> Float[Tensor, "n *shape"]:
        return self.decode(self.latents(n))

    def discriminator_loss(self, real: Tensor, turn: Turn) -> Loss:
        with torch.no_grad():
            fake = self.sample(len(real))
        loss = self.referee.discriminator(self.discriminator, real, fake, turn)
        return Loss({**loss.terms, **self.penalties(real, fake)}, loss.info)

    def generator_loss(self, real: Tensor, turn: Turn) -> Loss:
        latents = self.latents(len(real))
        fake = self.decode(latents)
        adversarial = self.referee.generator(self.discriminator, real, fake, turn)
        return Loss({"adversarial": adversarial, **self.referee.diversity(fake, latents)})

    def penalties(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Further terms of the discriminator's loss, weighted."""
        return {}

    def after_discriminator(self) -> None:
        """What is done to the discriminator after each of its steps."""
