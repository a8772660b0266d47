"""What a game says of many examples: a few at a time, so that memory is bounded, and by all processes that play it.

Whoever wants many samples asks here, ``samples_of(game, 10_000)``, and need not know how many processes there are:
while a run is measured, all of them draw (`textgan.crew`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from textgan.shards import Shard

Answers = Callable[["Question"], list[Tensor]]
"""Gives the rows of the answer, some in each tensor."""


def samples_of(
    game: nn.Module, n: int, *given: Tensor, rows: int | None = None, together: int = 1, **options: Any
) -> Tensor:
    """``game.sample(n, *given, **options)``, on the host; `given` are tensors of `n` rows, on any device.

    Args:
        rows: most examples of a call. None: all.
        together: a call is for a multiple of as many (but for the last): categories in turn go on from call to call.
    """
    return _answered(game, Question("sample", n, True, given, options, rows or max(1, n), together))


def values_of(method: Callable[..., Tensor], *given: Tensor, rows: int, **options: Any) -> Tensor:
    """``method(*given, **options)`` of a game's method that gives a row for each row of the tensors; on the host."""
    game: Any = method.__self__  # type: ignore[attr-defined]
    return _answered(game, Question(method.__name__, len(given[0]), False, given, options, rows))


@dataclass(frozen=True)
class Question:
    """What is asked of a game's method: any process can answer it, or a part of it."""

    method: str
    n: int
    """Examples."""
    counts: bool
    """Whether the method is told how many."""
    given: tuple[Tensor, ...]
    options: Mapping[str, Any]
    rows: int
    together: int = 1

    def part(self, shard: Shard) -> Question:
        """The shard's, of whole groups of what goes together."""
        groups = -(-self.n // self.together)
        first, last = (min(self.n, groups * i // shard.count * self.together) for i in (shard.index, shard.index + 1))
        return replace(self, n=last - first, given=tuple(rows[first:last] for rows in self.given))

    @torch.no_grad()
    def answer(self, game: nn.Module) -> list[Tensor]:
        """Of a few rows at a time."""
        method = getattr(game, self.method)
        device = next((weight.device for weight in game.parameters()), torch.device("cpu"))
        most = max(self.together, self.rows - self.rows % self.together)
        found = []
        for start in range(0, self.n, most):
            size = min(most, self.n - start)
            given = [rows[start : start + size].to(device) for rows in self.given]
            answer = method(*([size] if self.counts else []), *given, **self.options)
            found.append((answer.float() if answer.is_floating_point() else answer).cpu())
        return found


_answers: Answers | None = None


@contextmanager
def answered_by(answers: Answers) -> Iterator[None]:
    """Inside, questions go to these, whatever game they are about."""
    global _answers
    before, _answers = _answers, answers
    try:
        yield
    finally:
        _answers = before


def _answered(game: nn.Module, question: Question) -> Tensor:
    return torch.cat(question.answer(game) if _answers is None else _answers(question))
