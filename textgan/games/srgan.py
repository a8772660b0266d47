"""SRGAN: photo-realistic single image super-resolution with a GAN (Ledig et al., 2017).

SRResNet enlarges an image y. It learns first by the mean squared error alone; then what it makes must look like the
truth x, through the eyes of a fixed network phi, and be taken for real (equations 3 and 5)::

    pretrain      E (x - G(y))^2
    adversarial   L_G = E (phi(x) - phi(G(y)))^2 - 0.001 E log D(G(y))
                  L_D = -E log D(x) - E log(1 - D(G(y)))

Squares are means over numbers. The error of pixels is least after the first of these stages, and rises in the second,
in the paper too: an error's best guess is a blur.

Differs from the paper: phi is not VGG, trained on ImageNet, but a small network of the game's own, which learns in a
stage before the others, from the large images, to say which way they were mirrored; its features have deviation 1 in
place of the factor 1 / 12.75 (`textgan.parts.perception`). Widths, kernels and depth are for small images; the
discriminator halves until 3 or 4 pixels are left and has one linear layer at its end. Play says ``data.source`` half
or quarter for twice or four times the size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from textgan.data.images.pairs import PairSpec
from textgan.errors import check_at_least
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.networks.image_superresolution import SRResNet, SRResNetConfig
from textgan.parts.perception import Perception, PerceptionConfig
from textgan.parts.translation_game import Batch, TranslationConfig, TranslationGame, squared_distance


@dataclass(frozen=True)
class Config(TranslationConfig):
    """SRResNet, a discriminator, and a network to see with."""

    pretraining_rounds: int = 1500
    """Rounds in which the generator learns by the squared error alone."""
    rounds: int = 1000
    """Rounds of the game."""
    adversarial: float = 1e-3
    """Weight of the objective's half in the generator's loss."""
    generator: SRResNetConfig = field(default_factory=SRResNetConfig)
    """The generator."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """The discriminator."""
    perception: PerceptionConfig = field(default_factory=PerceptionConfig)
    """The network through which images are compared."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "pretraining_rounds")


TINY = Config(
    batch_size=16,
    pretraining_rounds=3,
    rounds=3,
    generator=SRResNetConfig(width=8, blocks=1),
    discriminator=ImageDiscriminatorConfig(width=8, norm="batch"),
    perception=PerceptionConfig(width=8, rounds=3),
)


class SRGAN(TranslationGame):
    """A generator of large images of small ones, and a discriminator of large ones."""

    data: ClassVar[str] = "image_pairs"
    usual: ClassVar[Mapping[str, Any]] = {"data": {"source": "half"}}
    config: Config
    spec: PairSpec

    def __init__(self, config: Config, spec: PairSpec) -> None:
        super().__init__(config, spec)
        self.perception = Perception(config.perception, spec)

    def make_generator(self) -> SRResNet:
        return SRResNet(self.config.generator, self.spec)

    def make_discriminator(self) -> ImageDiscriminator:
        return ImageDiscriminator(self.config.discriminator, self.spec, bias=self.referee.objective.has_level)

    def optimizers(self) -> dict[str, Optimizer]:
        return {"perception": self.perception.optimizer(), **super().optimizers()}

    def stages(self) -> Sequence[Stage]:
        pretrain = Stage("pretrain", self.config.pretraining_rounds, [Move("generator", self.pretraining_loss)])
        return [self.perception.stage(itemgetter(1)), pretrain, self.adversarial()]

    def pretraining_loss(self, batch: Batch, turn: Turn) -> Loss:
        source, real = batch
        return Loss({"error": squared_distance(self.generator(source), real)})

    def likeness(self, fake: Tensor, source: Tensor, real: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            wanted = self.perception.features(real)
        return {"content": squared_distance(self.perception.features(fake), wanted)}
