"""TextGAN: adversarial feature matching for text (Zhang, Gan, Fan, Chen, Henao, Shen, Carin; ICML 2017; 1706.03850).

The generator writes a sentence as a function of a code z ~ N(0, I), which it reads at every step. It does not play
against the discriminator's verdict but matches the distribution of its features f, by an MMD of several Gaussian
kernels; the discriminator tells real from fake, reads the code off the fakes' features, and spreads the features so
that the MMD tells more (eqs. 1 to 5)::

    L_G = MMD^2(f(real), f(fake))
    L_D = -E log D(real) - E log(1 - D(fake)) + reconstruction E |z^ - z|^2 - matching MMD^2(f(real), f(fake))

D *raises* the MMD that G lowers. Words in the game are softmax(logits / temperature), a soft argmax, and are read on
as mixtures of embeddings. The bandwidths are multiples of the median distance of the real features of the batch, which
takes from D the means to raise the MMD by mere scale.

Differs from the paper: both networks are pretrained together as an autoencoder whose codes are held to N(0, I) (see
`parts/latent_game.py`), in place of an autoencoder of their own for G and of telling sentences from ones with two words
swapped for D; the soft argmax sharpens over the game; the bandwidths follow the median in place of lying near one
measured beforehand. That words be drawn given z, and the objective of D's verdict, are switches. There is no density:
the code would have to be integrated out. ``configs/textgan_mmd-oracle.yaml`` and ``configs/textgan_mmd-captions.yaml``
are presets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.distances import median_distance, mmd_squared
from textgan.errors import check_at_least, check_fields
from textgan.game import Loss, Stage, Turn
from textgan.losses import OBJECTIVES, ObjectiveName, accuracy
from textgan.networks.modes import evaluating
from textgan.parts.latent_game import TINY_LATENT, LatentGame, LatentGameConfig


@dataclass(frozen=True)
class Config(LatentGameConfig):
    """TextGAN."""

    loss: ObjectiveName = "standard"
    """The discriminator's verdict."""
    reconstruction: float = 0.1
    """Weight of reading the code off the fakes."""
    matching: float = 0.1
    """Weight of the MMD in the discriminator's loss."""
    bandwidths: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    """Of the kernels, in units of the median distance of real features."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(2, "game", self, "batch_size")
        check_at_least(0, "game", self, "reconstruction", "matching")
        check_fields("game", self, "numbers above 0", lambda n: n and min(n) > 0, "bandwidths")


TINY = Config(**TINY_LATENT)


class TextGAN(LatentGame):
    """Generator and discriminator, together before the game and against each other in it."""

    config: Config

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__(config, spec)
        self._objective = OBJECTIVES[config.loss]

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            **self.autoencoder_optimizer(),
            "generator": Adam(self.generator.parameters(), lr=self.config.learning_rate),
            "discriminator": Adam(self.discriminator.parameters(), lr=self.config.discriminator_learning_rate),
        }

    def stages(self) -> Sequence[Stage]:
        return self.after_autoencoder(self._discriminate, self._match)

    def _match(self, real: Tensor, turn: Turn) -> Loss:
        with evaluating(self.discriminator):
            fake = self.features_of(self.fakes(self.codes(len(real)), turn))
            return Loss({"mmd": self._mmd(self.features(real), fake)})

    def _discriminate(self, real: Tensor, turn: Turn) -> Loss:
        config, codes = self.config, self.codes(len(real))
        with torch.no_grad():
            fakes = self.fakes(codes, turn)
        real_features, fake_features = self.features(real), self.features_of(fakes)
        real_scores, _ = self.read_codes(real_features)
        fake_scores, read = self.read_codes(fake_features)
        on_real, on_fake = self._objective.discriminator(real_scores, fake_scores)
        off = (read - codes).square().sum(1).mean()
        distance = self._mmd(real_features, fake_features)
        return Loss(
            {
                "real": on_real,
                "fake": on_fake,
                "reconstruction": config.reconstruction * off,
                "matching": -config.matching * distance,
            },
            {"accuracy": accuracy(real_scores, fake_scores), "mmd": distance},
        )

    def _mmd(self, real: Tensor, fake: Tensor) -> Tensor:
        scales = real.new_tensor(self.config.bandwidths, dtype=torch.float32)
        return mmd_squared(real, fake, scales * median_distance(real))
