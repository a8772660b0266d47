"""What games have in common whose sentences are functions of a latent code: the generator, the encoder, its schooling.

The generator reads a code z ~ N(0, I) at every step and writes, each time, its likeliest word, so that a sentence is a
function of z, or draws its words given z. Its sentences have then no density that could be computed.

Before the game the two networks are an autoencoder: the discriminator's features of a real sentence give a code, from
which the generator writes the sentence again, while the codes' distribution is held to that of z by an MMD (as in
Wasserstein autoencoders, Tolstikhin et al. 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.distances import mmd_squared
from textgan.errors import check_above_zero, check_at_least
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.networks.discriminators import DiscriminatorConfig, text_discriminator
from textgan.networks.generators import GeneratorConfig, text_generator
from textgan.networks.modes import evaluating
from textgan.relaxation import Relaxed, relaxed_sample
from textgan.sampling import sample

LIKELIEST = 1e-9
"""A temperature at which the likeliest word is drawn."""
WIDTHS = (0.5, 1.0, 2.0)
"""Bandwidths of the autoencoder's kernels, in units of the root of the code's mean squared length."""


@dataclass(frozen=True)
class LatentConfig:
    """The code, how words follow from it, and the autoencoder before the game."""

    size: int = 32
    """Numbers in z, at least 2."""
    words: Literal["likeliest", "drawn"] = "likeliest"
    """likeliest: a sentence is a function of z. drawn: its words are drawn, by Gumbel noise in the game."""
    first_temperature: float = 1.0
    """Words in the game are softmax(logits / temperature); the temperature when the game begins."""
    last_temperature: float = 0.1
    """The temperature when it ends; it falls geometrically."""
    epochs: int = 6
    """Passes over the corpus as an autoencoder. 0: none."""
    learning_rate: float = 3e-3
    """Adam's step size there."""
    clip: float = 5.0
    """Largest norm of the gradient there."""
    prior: float = 10.0
    """Weight of the MMD between codes of real sentences and z there."""

    def __post_init__(self) -> None:
        group = "game.latent"
        check_at_least(2, group, self, "size")
        check_at_least(0, group, self, "epochs", "prior")
        check_above_zero(group, self, "first_temperature", "last_temperature", "learning_rate", "clip")


@dataclass(frozen=True)
class LatentGameConfig:
    """What the options of such games begin with."""

    generator: GeneratorConfig = GeneratorConfig()
    """The generator's network; hf:PATH, which reads no code, is not among its kinds."""
    discriminator: DiscriminatorConfig = DiscriminatorConfig(widths=(1, 2, 3, 4, 5), filters=(64, 64, 64, 64, 64))
    """The network of the features."""
    latent: LatentConfig = LatentConfig()
    """The code, how words follow from it, and the autoencoder before the game."""
    batch_size: int = 64
    """Sentences a step, of real ones and of fakes."""
    rounds: int = 60
    """Adversarial rounds."""
    generator_steps: int = 5
    """Steps of the generator a round; the discriminator makes one."""
    learning_rate: float = 3e-4
    """Adam's step size of the generator in the game."""
    discriminator_learning_rate: float = 1e-4
    """Adam's step size of the discriminator in the game."""
    clip: float = 5.0
    """Largest norm of either one's gradient in the game."""

    def __post_init__(self) -> None:
        check_at_least(1, "game", self, "batch_size", "generator_steps")
        check_at_least(0, "game", self, "rounds")
        check_above_zero("game", self, "learning_rate", "discriminator_learning_rate", "clip")


TINY_LATENT: dict[str, Any] = {
    "generator": GeneratorConfig(embedding=16, hidden=16),
    "discriminator": DiscriminatorConfig(
        widths=(1, 2, 3), filters=(8, 8, 8), embedding=16, representations=4, hidden=8, layers=1
    ),
    "latent": LatentConfig(size=4, epochs=1),
    "rounds": 2,
    "generator_steps": 2,
    "batch_size": 32,
}
"""Options with which such a game is played in seconds."""


class LatentGame(Game):
    """A generator of sentences from codes and a discriminator whose features give codes.

    The discriminator has one output more than a code has numbers: its first is the logit of being real.
    """

    def __init__(self, config: LatentGameConfig, spec: TextSpec) -> None:
        super().__init__()
        self.config, self.spec, self.batch_size = config, spec, config.batch_size
        self.latent = config.latent
        self.generator = text_generator(config.generator, spec, condition=self.latent.size)
        self.discriminator = text_discriminator(config.discriminator, spec, outputs=1 + self.latent.size)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """``(n, T)`` token ids. The temperature is that of the words or, where these follow from z, z's deviation."""
        follow = self.latent.words == "likeliest"
        policy = self.generator.given(self.codes(n) * (temperature if follow else 1.0))
        with evaluating(self.generator):
            return sample(policy, self.spec, n, LIKELIEST if follow else temperature)

    def describe(self, folder: Path) -> None:
        """Write what the generator's network needs."""
        self.generator.describe(folder)

    def codes(self, n: int) -> Tensor:
        """`n` new codes ``(n, size)``."""
        return torch.randn(n, self.latent.size, device=next(self.generator.parameters()).device)

    def fakes(self, codes: Tensor, turn: Turn) -> Relaxed:
        """Sentences of relaxed words from codes, each read on as the mixture that it is; dropout is off."""
        first, last = self.latent.first_temperature, self.latent.last_temperature
        temperature = first * (last / first) ** turn.progress
        shape = len(codes), self.spec.length, self.spec.vocab_size
        noise = codes.new_zeros(()).expand(shape) if self.latent.words == "likeliest" else None
        with evaluating(self.generator):
            return relaxed_sample(self.generator.given(codes), self.spec, len(codes), temperature, "soft", noise)

    def features(self, tokens: Tensor) -> Tensor:
        """The discriminator's features of sentences ``(n, size)``, those of several votes side by side."""
        return self.discriminator.features(tokens).flatten(1)

    def features_of(self, fake: Relaxed) -> Tensor:
        """The same of relaxed sentences."""
        return self.discriminator.features_relaxed(fake.words, fake.lengths(self.spec)).flatten(1)

    def read_codes(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The logit of being real ``(n,)`` and the code ``(n, size)`` that the discriminator reads off features."""
        outputs = self.discriminator.score(features.unflatten(1, (-1, self.discriminator.size)))
        return outputs[:, 0], outputs[:, 1:]

    def pretrain_autoencoder(self) -> Stage:
        """The stage in which player ``autoencoder`` learns to write real sentences again."""
        epoch = math.ceil(self.spec.train_size / self.batch_size)
        move = Move("autoencoder", self._rewrite, epoch, clip=self.latent.clip)
        return Stage("pretrain_autoencoder", self.latent.epochs, [move])

    def after_autoencoder(
        self, discriminate: Callable[[Tensor, Turn], Loss], match: Callable[[Tensor, Turn], Loss]
    ) -> list[Stage]:
        """The autoencoder; then rounds of one step of the discriminator and some of the generator."""
        config = self.config
        moves = [
            Move("discriminator", discriminate, clip=config.clip),
            Move("generator", match, config.generator_steps, clip=config.clip),
        ]
        return [self.pretrain_autoencoder(), Stage("adversarial", config.rounds, moves)]

    def autoencoder_optimizer(self) -> dict[str, Optimizer]:
        """The optimiser of that stage."""
        networks = nn.ModuleList([self.generator, self.discriminator])
        return {"autoencoder": Adam(networks.parameters(), lr=self.latent.learning_rate)}

    def _rewrite(self, real: Tensor, turn: Turn) -> Loss:
        """Cross-entropy of real sentences given their codes, nats per token, and the MMD of the codes from z."""
        code = self.read_codes(self.features(real))[1]
        log_probs = self.generator.log_probs(real, condition=code)
        length = math.sqrt(self.latent.size)
        distance = mmd_squared(code, self.codes(len(real)), [width * length for width in WIDTHS])
        nll = -log_probs.sum() / (real != self.spec.pad).sum()
        return Loss({"nll": nll, "prior": self.latent.prior * distance})
