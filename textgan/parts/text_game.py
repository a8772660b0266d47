"""What all games of sentences have in common: a generator that is a policy, and its schooling by likelihood."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.errors import check_above_zero, check_at_least
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.networks.generators import GeneratorConfig, text_generator
from textgan.networks.modes import evaluating
from textgan.networks.text_generator import TextGenerator
from textgan.policy_gradient import advantages, reinforce_loss
from textgan.sampling import sample


@dataclass(frozen=True)
class Pretraining:
    """Maximum likelihood before the game."""

    epochs: int = 5
    """Passes over the corpus. 0: none."""
    learning_rate: float = 3e-3
    """Adam's step size."""
    clip: float = 5.0
    """Largest norm of the gradient."""

    def __post_init__(self) -> None:
        check_at_least(0, "game.pretraining", self, "epochs")
        check_above_zero("game.pretraining", self, "learning_rate", "clip")


@dataclass(frozen=True)
class TextGameConfig:
    """What the options of most text games begin with."""

    generator: GeneratorConfig = GeneratorConfig()
    """The generator's network."""
    pretraining: Pretraining = Pretraining()
    """Maximum likelihood before the game."""
    batch_size: int = 64
    """Sentences a generator step; a discriminator step takes as many real ones and as many fakes."""
    rounds: int = 15
    """Adversarial rounds."""
    learning_rate: float = 1e-3
    """Adam's step size of the generator in the game."""
    clip: float = 5.0
    """Largest norm of the generator's gradient in the game."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "batch_size")
        check_at_least(0, "game", self, "rounds")
        check_above_zero("game", self, "learning_rate", "clip")


class TextGame(Game):
    """A game of one generator, whose samples are sentences. A subclass adds opponents, losses and the order of play.

    Its config has a `batch_size` and, unless a `generator` is handed over, the options of one.
    """

    spec: TextSpec
    generator: TextGenerator

    def __init__(self, config: Any, spec: TextSpec, generator: TextGenerator | None = None) -> None:
        super().__init__()
        self.config, self.spec, self.batch_size = config, spec, config.batch_size
        self.generator = text_generator(config.generator, spec) if generator is None else generator

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """``(n, T)`` token ids."""
        with evaluating(self.generator):
            return sample(self.generator, self.spec, n, temperature)

    def log_probs(self, tokens: Tensor, temperature: float = 1.0) -> Tensor:
        """Log-probability in nats of each token ``(B, T)`` given those before it; 0 at padding."""
        return self.generator.log_probs(tokens, temperature)

    def describe(self, folder: Path) -> None:
        """Write what the generator's network needs."""
        self.generator.describe(folder)

    def pretrain_generator(self, config: Pretraining) -> Stage:
        """The stage in which player ``generator_mle`` minimises the cross-entropy of real sentences."""
        epoch = math.ceil(self.spec.train_size / self.batch_size)
        move = Move("generator_mle", self.likelihood, epoch, clip=config.clip)
        return Stage("pretrain_generator", config.epochs, [move])

    def pretraining_optimizer(self, config: Pretraining) -> dict[str, Optimizer]:
        """The optimiser of that stage."""
        return {"generator_mle": Adam(self.generator.parameters(), lr=config.learning_rate)}

    def likelihood(self, real: Any, turn: Turn) -> Loss:
        """Cross-entropy of real sentences in nats per token."""
        return Loss({"nll": -self.generator.log_probs(real).sum() / (real != self.spec.pad).sum()})

    def reinforce(
        self,
        tokens: Tensor,
        rewards: Tensor,
        temperature: float = 1.0,
        baseline: Literal["none", "batch"] | Tensor = "none",
        whiten: bool = False,
    ) -> Loss:
        """REINFORCE on sentences ``(B, T)`` drawn at the temperature, by the rewards ``(B, T)`` of their tokens.

        A mean over sentences of sums over tokens. Dropout is off: the words were drawn by the whole network, not by a
        thinned one. The info ``reward`` is the mean over tokens. See `advantages` for `baseline` and `whiten`.
        """
        mask = tokens != self.spec.pad
        with evaluating(self.generator):
            log_probs = self.generator.log_probs(tokens, temperature)
        worth = advantages(rewards, mask, baseline, whiten)
        reward = (rewards * mask).sum() / mask.sum()
        return Loss({"policy_gradient": reinforce_loss(log_probs, worth, mask)}, {"reward": reward})
