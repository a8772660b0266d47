"""All processes that play a game, while the first one measures it: they answer its questions together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from torch import Tensor, nn

from textgan.inference import Question, answered_by
from textgan.processes import Processes
from textgan.shards import Shard, playing, seed_place

Result = TypeVar("Result")


class Crew:
    """Measures a game in the shards that it is played in.

    Each process answers for the shards that it plays, each shard with random numbers of its own, so that what is found
    is the same whatever the number of processes. Where there is one shard, the first process finds it alone.

    Args:
        shards: those that this process plays.
        seed: what their random numbers follow from.
    """

    def __init__(self, game: nn.Module, processes: Processes, shards: Sequence[Shard], seed: int) -> None:
        self._game, self._processes, self._shards, self._seed = game, processes, shards, seed
        self._count = shards[0].count
        self._asked = 0

    def lead(self, measure: Callable[[], Result]) -> Result:
        """What the first process measures, with the help of the others; or the `UserError` that it has met."""
        self._asked = 0
        return self._processes.from_first(measure if self._count == 1 else lambda: self._helped(measure), self._answer)

    def _helped(self, measure: Callable[[], Result]) -> Result:
        with answered_by(self._ask):
            return measure()

    def _ask(self, question: Question) -> list[Tensor]:
        self._asked += 1
        answers = self._processes.ask((self._asked, question), self._answer)
        seed_place(self._seed, self._asked, self._count)  # what the first draws next depends on no process
        return [rows for answer in answers for rows in answer]

    def _answer(self, asked: tuple[int, Question]) -> list[Tensor]:
        number, question = asked
        found = []
        for shard in self._shards:
            seed_place(self._seed, number, shard.index)
            with playing(shard):
                found += question.part(shard).answer(self._game)
        return found
