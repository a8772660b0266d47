"""The smallest game of sentences with categories: each category and place has a distribution of words, fit by counting.

Differs from the paper: there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from textgan.data.labelled import LabelledBatch
from textgan.data.spec import LabelledSpec
from textgan.game import Game, Loss, Move, Stage, Turn


@dataclass(frozen=True)
class Config:
    """Sizes."""

    steps: int = 300


TINY = Config(30)


class PlaceUnigrams(Game):
    data = "labelled"
    batch_size = 50

    def __init__(self, config: Config, spec: LabelledSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        self.words = nn.Parameter(torch.zeros(len(spec.categories), spec.length, spec.vocab_size))

    def optimizers(self) -> dict[str, Optimizer]:
        return {"words": SGD([self.words], lr=30.0)}

    def stages(self) -> Sequence[Stage]:
        return [Stage("counting", self.config.steps, [Move("words", self._likelihood)])]

    def sample(self, n: int, temperature: float = 1.0, category: int | None = None) -> Tensor:
        k = torch.arange(n) % len(self.words) if category is None else torch.full((n,), category)
        p = (self._log_probs() / temperature).softmax(-1)[k]
        tokens = torch.multinomial(p.flatten(0, 1), 1).view(n, -1)
        ended = (tokens == self.spec.eos).cumsum(1) - (tokens == self.spec.eos).long() > 0
        return tokens.masked_fill(ended, self.spec.pad)

    def _log_probs(self) -> Tensor:
        barred = torch.zeros(self.spec.vocab_size)
        barred[list(self.spec.never)] = -torch.inf
        return (self.words + barred).log_softmax(-1)

    def _likelihood(self, real: LabelledBatch, turn: Turn) -> Loss:
        chosen = self._log_probs()[real.category].gather(2, real.tokens[:, :, None]).squeeze(2)
        return Loss({"nll": -chosen[real.tokens != self.spec.pad].mean()})
