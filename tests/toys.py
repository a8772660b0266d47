"""A game that has nothing to do with text: WGAN-GP between two Gaussians, with everything a trainer must carry.

A batch normalisation's buffers, dropout's random numbers, a pool, an act, two optimisers on the same weights, a
move made every second round, an `after`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from textgan.game import Act, Game, Loss, Move, Stage, Turn
from textgan.losses import gradient_penalty
from textgan.parts.pools import Pool


class ToyGame(Game):
    batch_size = 8

    def __init__(self, rounds: int = 3, learning_rate: float = 1e-2) -> None:
        super().__init__()
        self.rounds, self.learning_rate = rounds, learning_rate
        self.generator = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2))
        self.critic = nn.Sequential(nn.Linear(2, 8), nn.Softplus(), nn.Linear(8, 1))
        self.pool = Pool(16, 2, dtype=torch.float32)
        self.register_buffer("followed", torch.zeros(()))
        self.turns: list[Turn] = []

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            "warm_up": Adam(self.generator.parameters(), lr=self.learning_rate),
            "generator": Adam(self.generator.parameters(), lr=self.learning_rate),
            "critic": Adam(self.critic.parameters(), lr=self.learning_rate),
        }

    def stages(self) -> Sequence[Stage]:
        return [
            Stage("warm_up", 2, [Move("warm_up", self._warm_up, times=3)]),
            Stage(
                "adversarial",
                self.rounds,
                [
                    Act(self._refill),
                    Move("critic", self._criticise, times=2, clip=1.0),
                    Move("generator", self._generate, every=2, after=self._follow),
                ],
            ),
        ]

    def sample(self, n: int) -> Tensor:
        return self.generator(torch.randn(n, 2))

    def _warm_up(self, real: Tensor, turn: Turn) -> Loss:
        self.turns.append(turn)
        return Loss({"distance": (self.sample(len(real)) - real).square().mean()})

    def _criticise(self, real: Tensor, turn: Turn) -> Loss:
        fake = self.pool.draw(len(real))
        wasserstein = self.critic(fake).mean() - self.critic(real).mean()
        return Loss(
            {"wasserstein": wasserstein, "penalty": 10 * gradient_penalty(self.critic, real, fake)},
            {"estimate": -wasserstein},
        )

    def _generate(self, real: Tensor, turn: Turn) -> Loss:
        return Loss({"score": -self.critic(self.sample(len(real))).mean()})

    def _refill(self, turn: Turn) -> None:
        self.pool.add(self.sample(self.pool.size))

    def _follow(self) -> None:
        self.followed += 1


class Gaussian:
    """Batches of a shifted Gaussian, from a generator of their own; the place is the number of batches drawn."""

    def __init__(self, seed: int = 0) -> None:
        self.drawn, self.seed = 0, seed

    def next(self, n: int, part: slice = slice(None)) -> Tensor:
        self.drawn += 1
        return torch.randn(n, 2, generator=torch.Generator().manual_seed(1000 * self.seed + self.drawn))[part] + 3

    def state_dict(self) -> dict[str, int]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.drawn = state["drawn"]


def weights(game: nn.Module) -> dict[str, Tensor]:
    """A copy of everything in the game."""
    return {name: tensor.detach().clone() for name, tensor in game.state_dict().items()}


def assert_bitwise_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert not different, f"these differ: {different}"
