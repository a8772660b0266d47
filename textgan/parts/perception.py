"""A network that learns to see before the game, and then stands still: features that images can be compared by.

It is shown images mirrored left to right, upside down, both or neither, and says which: a task that needs no labels,
and that takes to see what stands where (after Gidaris et al. 2018, who turn by quarters).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from textgan.data.images.spec import ImageSpec
from textgan.errors import check_above_zero, check_at_least
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.modes import evaluating

WAYS = ((), (2,), (3,), (2, 3))
"""Sides along which images are mirrored: the four answers."""


@dataclass(frozen=True)
class PerceptionConfig:
    """A small network, trained on the images of the game."""

    width: int = 32
    """Channels of the first layer, twice as many after each halving."""
    halvings: int = 1
    """How often the maps that images are compared by have been halved."""
    rounds: int = 300
    """Rounds that it learns."""
    learning_rate: float = 1e-3
    """Adam's step size."""

    def __post_init__(self) -> None:
        check_at_least(1, "perception", self, "width", "rounds")
        check_at_least(0, "perception", self, "halvings")
        check_above_zero("perception", self, "learning_rate")


class Perception(nn.Module):
    """Convolutions, and the answer. Its features have mean 0 and deviation 1 over the images it learned from."""

    def __init__(self, config: PerceptionConfig, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * 2**place for place in range(config.halvings + 1)]
        layers: list[nn.Module] = [nn.Conv2d(spec.channels, widths[0], 3, padding=1), nn.LeakyReLU(0.2)]
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(widths[-1], widths[-1], 3, padding=1), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.BatchNorm2d(widths[-1], affine=False))
        with torch.no_grad():
            numbers = self.body.eval()(torch.zeros(1, *spec.shape)).numel()
        self.body.train()
        self.answer = nn.Linear(numbers, len(WAYS))

    def features(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n maps rows columns"]:
        """What images are compared by: nothing in it depends on the other images, and nothing changes."""
        with evaluating(self):
            return self.body(images)

    def loss(self, images: Float[Tensor, "n channels height width"]) -> Loss:
        """``-E log p(way | image mirrored in that way)``, and the share of right answers."""
        way = torch.randint(len(WAYS), (len(images),), device=images.device)
        shown = torch.stack([images.flip(sides) for sides in WAYS])[way, torch.arange(len(images), device=way.device)]
        logits = self.answer(self.body(shown).flatten(1)).float()
        return Loss({"way": F.cross_entropy(logits, way)}, {"accuracy": (logits.argmax(1) == way).float().mean()})

    def optimizer(self) -> Optimizer:
        return Adam(self.parameters(), lr=self.config.learning_rate)

    def stage(self, seen: Callable[[Any], Tensor]) -> Stage:
        """It learns from what of a batch is `seen`."""

        def loss(batch: Any, turn: Turn) -> Loss:
            return self.loss(seen(batch))

        return Stage("perception", self.config.rounds, [Move("perception", loss)], watched=False)
