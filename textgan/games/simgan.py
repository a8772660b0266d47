"""SimGAN: learning from simulated and unsupervised images (Shrivastava, Pfister, Tuzel, Susskind, Wang and Webb, 2017).

A refiner R makes synthetic images x look like real ones y, and must not change what they show. The discriminator judges
patches, each vote by itself (equations 2 and 4, section 2.2)::

    L_D = -E log D(y) - E log(1 - D(R(x)))        L_R = -E log D(R(x)) + lambda E |R(x) - x|_1

Half of the fakes that the discriminator is shown come from a history of earlier ones. Before the game the refiner
learns by its second term alone, that is, to do nothing, and the discriminator against that refiner.

Differs from the paper: what a batch takes out of the history makes room for the fakes that it would have been shown in
their place; images are in [-1, 1], and lambda weighs a mean over numbers; widths and the field of a vote follow the
size of the images; Adam for stochastic gradient descent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from textgan.data.images.spec import ImageSpec
from textgan.errors import check_at_least
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.image_patches import PatchDiscriminator, PatchDiscriminatorConfig
from textgan.networks.image_resnet import ResnetConfig, ResnetGenerator
from textgan.parts.history import History
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.translation_game import Batch, TranslationConfig, TranslationGame, distance


@dataclass(frozen=True)
class Config(TranslationConfig):
    """A refiner, and a discriminator of patches."""

    refiner_rounds: int = 150
    """Rounds in which the refiner learns to do nothing."""
    discriminator_rounds: int = 50
    """Rounds in which the discriminator then learns alone."""
    rounds: int = 400
    """Rounds of the game."""
    refiner_steps: int = 2
    """Steps of the refiner a round; the paper has 50 on eyes, 2 on hands."""
    regularisation: float = 1.0
    """lambda, the weight of the difference of a refined image and the synthetic one."""
    history: int = 512
    """Refined images that are kept."""
    generator: ResnetConfig = field(
        default_factory=lambda: ResnetConfig(width=16, halvings=0, blocks=3, norm="none", init_std=0.05)
    )
    """The refiner; it keeps the size of its maps."""
    discriminator: PatchDiscriminatorConfig = field(default_factory=lambda: PatchDiscriminatorConfig(norm="none"))
    """The discriminator of patches."""
    optimizers: OptimizersConfig = field(default_factory=lambda: OptimizersConfig(generator=1e-3, discriminator=5e-4))
    """How both sides learn; the paper has 1e-3 without momentum."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "refiner_rounds", "discriminator_rounds", "refiner_steps", "history")
        check_at_least(0, "game", self, "regularisation")


TINY = Config(
    batch_size=16,
    refiner_rounds=2,
    discriminator_rounds=2,
    rounds=3,
    history=24,
    generator=ResnetConfig(width=8, halvings=0, blocks=1, norm="none"),
    discriminator=PatchDiscriminatorConfig(width=8, norm="none"),
)


class SimGAN(TranslationGame):
    """The first domain is synthetic, the second real."""

    data: ClassVar[str] = "image_domains"
    usual: ClassVar[Mapping[str, Any]] = {"data": {"other": "soft"}}
    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.history = History(config.history, *spec.shape)

    def make_generator(self) -> ResnetGenerator:
        return ResnetGenerator(self.config.generator, self.spec, self.spec)

    def make_discriminator(self) -> PatchDiscriminator:
        return PatchDiscriminator(self.config.discriminator, self.spec, bias=self.referee.objective.has_level)

    def stages(self) -> Sequence[Stage]:
        config = self.config
        discriminate = Move("discriminator", self.discriminator_loss, config.discriminator_steps)
        refine = Move("generator", self.generator_loss, config.refiner_steps)
        return [
            Stage("pretrain_refiner", config.refiner_rounds, [Move("generator", self.pretraining_loss)]),
            Stage("pretrain_discriminator", config.discriminator_rounds, [discriminate]),
            Stage("adversarial", config.rounds, [refine, discriminate]),
        ]

    def pretraining_loss(self, batch: Batch, turn: Turn) -> Loss:
        synthetic, real = batch
        return Loss(self.likeness(self.generator(synthetic), synthetic, real))

    def discriminator_loss(self, batch: Batch, turn: Turn) -> Loss:
        synthetic, real = batch
        with torch.no_grad():
            refined = self.generator(synthetic)
        return self.told_apart([self.discriminator], real, self.history.by_halves(refined), turn)

    def likeness(self, fake: Tensor, source: Tensor, real: Tensor) -> dict[str, Tensor]:
        return {"regularisation": self.config.regularisation * distance(fake, source)}
