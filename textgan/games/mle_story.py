"""Maximum likelihood on story endings: the baseline that an adversarial writer of endings is held against.

Minimises the cross-entropy of each token of the human ending given the context and the true tokens before it, in nats
per token::

    L = -sum_bt log p(y_bt | context_b, y_b,<t) / number of tokens

Differs from the paper: no paper; the generator and its training are those that `story_ending` starts from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import StorySpec
from textgan.data.stories import StoryBatch
from textgan.errors import check_above_zero, check_at_least, check_share
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.networks.endings import EndingPolicy
from textgan.networks.modes import evaluating
from textgan.networks.story_generator import story_generator
from textgan.sampling import sample


@dataclass(frozen=True)
class Config:
    """Maximum likelihood."""

    generator: str = "lstm"
    """lstm: a recurrent encoder-decoder. hf:PATH: the transformers model in the folder PATH, of its own sizes."""
    embedding: int = 128
    """Width of the word embeddings, which the generator's encoder, decoder and output share."""
    hidden: int = 256
    """Units of the generator's LSTMs."""
    layers: int = 1
    """Layers of encoder and decoder."""
    attention: bool = True
    """Let the decoder look at every word of the context."""
    copy: bool = True
    """Let the decoder copy words of the context by its attention."""
    dropout: float = 0.3
    """Dropout on the generator's embeddings, between its layers and before its output, in [0, 1)."""
    batch_size: int = 64
    """Stories a step."""
    epochs: int = 12
    """Passes over the corpus."""
    learning_rate: float = 2e-3
    """Adam's step size."""
    clip: float = 5.0
    """Largest gradient norm."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "embedding", "hidden", "layers", "batch_size")
        check_at_least(0, "game", self, "epochs")
        check_above_zero("game", self, "learning_rate", "clip")
        check_share("game", self, "dropout")


TINY = Config(embedding=16, hidden=16, epochs=2, batch_size=32)


class MLEStory(Game):
    """One player, one stage."""

    data = "stories"

    def __init__(self, config: Config, spec: StorySpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        self.batch_size = config.batch_size
        self.generator = story_generator(
            config.generator,
            spec,
            config.embedding,
            config.hidden,
            config.layers,
            config.dropout,
            config.attention,
            config.copy,
        )

    def optimizers(self) -> dict[str, Optimizer]:
        return {"generator": Adam(self.generator.parameters(), lr=self.config.learning_rate)}

    def stages(self) -> Sequence[Stage]:
        epoch = math.ceil(self.spec.train_size / self.batch_size)
        move = Move("generator", self._likelihood, times=epoch, clip=self.config.clip)
        return [Stage("likelihood", self.config.epochs, [move])]

    def describe(self, folder: Path) -> None:
        """What a generator of another library needs."""
        self.generator.describe(folder)

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

    def _likelihood(self, real: StoryBatch, turn: Turn) -> Loss:
        tokens = (real.ending != self.spec.pad).sum()
        return Loss({"nll": -self.log_probs(real.context, real.ending).sum() / tokens})
