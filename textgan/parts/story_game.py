"""What games of contexts and endings, or of prompts and answers, have in common: a writer, and its schooling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import StorySpec
from textgan.data.stories import StoryBatch
from textgan.errors import check_above_zero, check_at_least
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.networks.endings import EndingPolicy, StoryGenerator
from textgan.networks.modes import evaluating
from textgan.networks.story_generator import WriterConfig
from textgan.parts.text_game import Pretraining
from textgan.sampling import sample


@dataclass(frozen=True)
class WriterGameConfig:
    """What the options of games begin with whose writer ends stories or answers prompts."""

    generator: WriterConfig = WriterConfig()
    """The writer's network."""
    lora: int = 0
    """Rank of the adapters that are all that is learned of a generator hf:PATH. 0: all its weights are."""
    pretraining: Pretraining = Pretraining(epochs=8, learning_rate=2e-3)
    """Maximum likelihood before the game."""
    batch_size: int = 32
    """Contexts a step."""
    learning_rate: float = 5e-5
    """Adam's step size of the writer in the game."""
    clip: float = 1.0
    """Largest norm of a gradient."""
    temperature: float = 1.0
    """Temperature at which answers are drawn in the game, and at which roll-outs are."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "batch_size")
        check_at_least(0, "game", self, "lora")
        check_above_zero("game", self, "learning_rate", "clip", "temperature")


class StoryGame(Game):
    """A game of one generator that ends stories or answers prompts. A subclass adds opponents and the order of play."""

    data = "stories"
    spec: StorySpec
    generator: StoryGenerator

    def policy(self, context: Tensor) -> EndingPolicy:
        """The distribution over endings of the contexts ``(B, S, L)``."""
        return self.generator.given(context)

    def sample(self, n: int, context: Tensor, temperature: float = 1.0) -> Tensor:
        """``(n, T)`` token ids: ``n / B`` endings of each context ``(B, S, L)`` in turn."""
        with evaluating(self.generator):
            return sample(self.policy(context), self.spec, n, temperature)

    def log_probs(self, context: Tensor, tokens: Tensor, temperature: float = 1.0) -> Tensor:
        """Log-probability in nats of each token ``(n, T)`` given its context and those before it; 0 at padding."""
        return self.policy(context).log_probs(tokens, temperature)

    def describe(self, folder: Path) -> None:
        """Write what the generator's network needs."""
        self.generator.describe(folder)

    @property
    def epoch(self) -> int:
        """Steps of a pass over the corpus."""
        return math.ceil(self.spec.train_size / self.batch_size)

    def pretrain_generator(self, config: Pretraining) -> Stage:
        """The stage in which player ``generator_mle`` minimises the cross-entropy of human endings."""
        move = Move("generator_mle", self.likelihood, self.epoch, clip=config.clip)
        return Stage("pretrain_generator", config.epochs, [move])

    def pretraining_optimizer(self, config: Pretraining) -> dict[str, Optimizer]:
        """The optimiser of that stage."""
        return {"generator_mle": Adam(self.generator.learned(), lr=config.learning_rate)}

    def likelihood(self, real: StoryBatch, turn: Turn) -> Loss:
        """Cross-entropy of human endings in nats per token."""
        tokens = (real.ending != self.spec.pad).sum()
        return Loss({"nll": -self.log_probs(real.context, real.ending).sum() / tokens})
