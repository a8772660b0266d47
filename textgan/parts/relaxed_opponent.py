"""A discriminator that reads sentences of relaxed words, so that its gradient reaches the generator that made them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.errors import check_above_zero, check_at_least
from textgan.game import Loss, Move, Turn
from textgan.losses import OBJECTIVES, ObjectiveName, accuracy
from textgan.networks.discriminators import DiscriminatorConfig, text_discriminator
from textgan.networks.modes import evaluating
from textgan.relaxation import Relaxed

PLAYER = "discriminator"
Draw = Callable[[int, Turn], Relaxed]
"""So many fakes, as the generator makes them at this turn."""
OF_DIFFERENCES = ("relativistic", "relativistic_average", "wasserstein")
"""Objectives that a shift of all scores leaves as they are: the last bias has nothing to learn."""


@dataclass(frozen=True)
class RelaxedOpponentConfig(DiscriminatorConfig):
    """The discriminator: its network, the loss that both sides play for, and how it learns."""

    loss: ObjectiveName = "standard"
    """What it minimises and what the generator minimises in turn."""
    learning_rate: float = 1e-4
    """Adam's step size."""
    steps: int = 1
    """Steps a round."""
    clip: float = 5.0
    """Largest norm of its gradient."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game.discriminator", self, "steps")
        check_above_zero("game.discriminator", self, "learning_rate", "clip")


class RelaxedOpponent(nn.Module):
    """The player ``discriminator``. The objective is taken of its votes: each is a score of the sentence on its own."""

    def __init__(self, config: RelaxedOpponentConfig, spec: TextSpec, outputs: int = 1) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        self.network = text_discriminator(config, spec, outputs)
        self._objective = OBJECTIVES[config.loss]

    def optimizer(self) -> dict[str, Optimizer]:
        """Adam; without the last bias where the objective does not see it."""
        unseen = self.network.output.bias if self.config.loss in OF_DIFFERENCES else None
        learning = [parameter for parameter in self.network.parameters() if parameter is not unseen]
        return {PLAYER: Adam(learning, lr=self.config.learning_rate)}

    def move(self, draw: Draw) -> Move:
        """Its part of a round: each step is on real sentences and as many new fakes, which get no gradient."""

        def on_new_fakes(real: Tensor, turn: Turn) -> Loss:
            with torch.no_grad():
                fake = draw(len(real), turn)
            return self.loss(real, fake)

        return Move(PLAYER, on_new_fakes, self.config.steps, clip=self.config.clip)

    def loss(self, real: Tensor, fake: Relaxed) -> Loss:
        """What it minimises: the objective's two halves, means over sentences and votes."""
        real_votes, fake_votes = self._votes(real, fake)
        on_real, on_fake = self._objective.discriminator(real_votes, fake_votes)
        return Loss({"real": on_real, "fake": on_fake}, {"accuracy": accuracy(real_votes, fake_votes)})

    def generator_loss(self, real: Tensor, fake: Relaxed) -> Tensor:
        """What the generator minimises, differentiable in the relaxed words; dropout is off."""
        with evaluating(self.network):
            return self._objective.generator(*self._votes(real, fake))

    def _votes(self, real: Tensor, fake: Relaxed) -> tuple[Tensor, Tensor]:
        network = self.network
        of_fakes = network.features_relaxed(fake.words, fake.lengths(self.spec))
        return network.votes(network.features(real)), network.votes(of_fakes)
