"""Maximum likelihood on story endings: the baseline that an adversarial writer of endings is held against.

Minimises the cross-entropy of each token of the human ending given the context and the true tokens before it, in nats
per token::

    L = -sum_bt log p(y_bt | context_b, y_b,<t) / number of tokens

Differs from the paper: no paper; the generator and its training are those that `story_ending` starts from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch.optim import Adam, Optimizer

from textgan.data.spec import StorySpec
from textgan.errors import check_above_zero, check_at_least
from textgan.game import Move, Stage
from textgan.networks.story_generator import WriterConfig
from textgan.parts.story_game import StoryGame


@dataclass(frozen=True)
class Config:
    """Maximum likelihood."""

    generator: WriterConfig = WriterConfig()
    """The writer's network."""
    lora: int = 0
    """Rank of the adapters that are all that is learned of a generator hf:PATH. 0: all its weights are."""
    batch_size: int = 64
    """Stories a step."""
    epochs: int = 12
    """Passes over the corpus."""
    learning_rate: float = 2e-3
    """Adam's step size."""
    clip: float = 5.0
    """Largest gradient norm."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "batch_size")
        check_at_least(0, "game", self, "epochs", "lora")
        check_above_zero("game", self, "learning_rate", "clip")


TINY = Config(generator=WriterConfig(embedding=16, hidden=16), epochs=2, batch_size=32)


class MLEStory(StoryGame):
    """One player, one stage."""

    def __init__(self, config: Config, spec: StorySpec) -> None:
        super().__init__()
        self.config, self.spec, self.batch_size = config, spec, config.batch_size
        self.generator = config.generator.build(spec, config.lora)

    def optimizers(self) -> dict[str, Optimizer]:
        return {"generator": Adam(self.generator.learned(), lr=self.config.learning_rate)}

    def stages(self) -> Sequence[Stage]:
        move = Move("generator", self.likelihood, times=self.epoch, clip=self.config.clip)
        return [Stage("likelihood", self.config.epochs, [move])]
