"""The contract: a GAN is a game, and a game is data that a trainer plays.

A game owns networks, losses and an order of play. It never calls ``backward``, never steps an optimiser and never
touches a device, a checkpoint or a log. `textgan.trainer.Trainer` does these once, for every game there is.

Words: a *step* is one optimiser update (or one act), a *round* one pass over a stage's moves, an *epoch* one pass
over the corpus.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn
from torch.optim import Optimizer


class Turn(NamedTuple):
    """Where in the plan a move is made. Schedules (temperature, rates) are functions of it."""

    stage: str
    round: int
    """Rounds of this stage that lie behind, from 0."""
    progress: float
    """``round / rounds`` of the stage, in [0, 1)."""


class Loss(NamedTuple):
    """What a move minimises: the sum of `terms`, each a weighted scalar. `info` is logged only.

    Each name is a curve in the report; names of the form ``figure/line`` are lines of one figure.
    """

    terms: dict[str, Tensor]
    info: dict[str, Tensor] = {}  # noqa: RUF012  (never written to)


@dataclass(frozen=True)
class Move:
    """ "This player takes this loss this often." """

    player: str
    """Key of `Game.optimizers`: the optimiser that steps. Only its parameters receive a gradient."""
    loss: Callable[[Any, Turn], Loss]
    """Given a batch of real examples and the turn. Losses that need no real data use only its length."""
    times: int = 1
    """Optimiser steps a round."""
    every: int = 1
    """Made every n-th round."""
    after: Callable[[], None] | None = None
    """Called, without gradients, after each step (weight clipping, a moving copy)."""
    clip: float | None = None
    """Largest norm of the player's gradient; a larger one is scaled down. None: as it comes."""


@dataclass(frozen=True)
class Act:
    """A step without a gradient: refill a pool of fakes, fit a classifier, select the fittest."""

    do: Callable[[Turn], None]
    every: int = 1

    @property
    def times(self) -> int:
        return 1


@dataclass(frozen=True)
class Stage:
    """`rounds` passes over `moves`."""

    name: str
    rounds: int
    moves: Sequence[Move | Act] = field(default_factory=tuple)
    watched: bool = True
    """Whether a collapse is looked for. Not where samples are not yet of their kind: small images, on the way up."""

    @property
    def steps(self) -> int:
        """Steps of the whole stage."""
        return sum(move.times * math.ceil(self.rounds / move.every) for move in self.moves)


class Place(NamedTuple):
    """A place in the plan: the step that is to be made next."""

    stage: int = 0
    round: int = 0
    move: int = 0
    time: int = 0
    """How often the move has been made in this round."""


def walk(stages: Sequence[Stage], start: Place = Place()) -> Iterator[Place]:  # noqa: B008  (immutable)
    """Every step of the plan in order, from `start` on."""
    for s in range(start.stage, len(stages)):
        first_round = start.round if s == start.stage else 0
        for r in range(first_round, stages[s].rounds):
            resumed_round = (s, r) == (start.stage, start.round)
            for m in range(start.move if resumed_round else 0, len(stages[s].moves)):
                move = stages[s].moves[m]
                if r % move.every:
                    continue
                first_time = start.time if resumed_round and m == start.move else 0
                for k in range(first_time, move.times):
                    yield Place(s, r, m, k)


class Game(nn.Module):
    """Networks, losses and an order of play.

    A subclass lives alone in ``textgan/games/<name>.py`` beside a frozen ``Config`` dataclass and a ``TINY``
    config, and is built as ``Game(config, spec)``, where `spec` describes the data (see `textgan.data`).

    Whatever changes while playing is a parameter, a registered buffer, an optimiser state or the state of torch's
    random number generators, so that one checkpoint holds everything.
    """

    data: ClassVar[str] = "text"
    """What it is played on: the name of a domain (`textgan.domains`). ``text``: sentences; ``labelled``: sentences with
    a category each; ``stories``: contexts and their endings; ``images``, ``labelled_images``, ``image_pairs``, ..."""
    usual: ClassVar[Mapping[str, Any]] = {}
    """Options of a run that hold for this game where nothing is said: ``{"corpus": NAME, "data": {FIELD: VALUE}}``."""
    batch_size: int
    """Real examples that the trainer hands to each call of a move's loss."""

    def optimizers(self) -> dict[str, Optimizer]:
        """A new optimiser for each player. Called once, when the networks are on their device."""
        raise NotImplementedError

    def stages(self) -> Sequence[Stage]:
        """The order of play."""
        raise NotImplementedError

    def sample(self, n: int, *args: Any, **options: Any) -> Any:
        """`n` generated examples: ``(n, T)`` token ids, ``(n, C, H, W)`` images in [-1, 1], ...

        A game may have options of its own (a text game's `temperature`), each with a default; a story game takes the
        contexts before them.
        """
        raise NotImplementedError

    def describe(self, folder: Path) -> None:
        """Write into `folder`, which need not exist, what it takes to build the networks beside config and weights.

        Most games need nothing. A model of another library needs its config.
        """
