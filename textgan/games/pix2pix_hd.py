"""pix2pixHD: large images of label maps, coarse first (Wang, Liu, Zhu, Tao, Kautz and Catanzaro, 2018).

A global generator makes images of half the size. A local one around it adds detail: it halves the source, adds the last
maps of the global one, and goes on. First the global one learns alone, then the local one with the other fixed, then
both. Discriminators D_k of patches, one for each scale, are shown source and image shrunk 2^k times; each plays the
least-squares game, and what it sees of a fake, layer by layer, must be what it sees of the truth (equations 3 and 4)::

    L_D = sum_k 1/2 E (D_k(s, x) - 1)^2 + 1/2 E D_k(s, G(s))^2
    L_G = sum_k E (D_k(s, G(s)) - 1)^2 + 10 sum_k sum_i E |D_k^i(s, x) - D_k^i(s, G(s))|_1 / N_i

D_k^i are the N_i numbers of layer i, the votes aside; no gradient goes through those of the truth.

Differs from the paper: as many of its three scales as leave 4 pixels a side; one set of discriminators through all
stages, of which the first stage has those of the smaller scales; no instance maps, no loss of VGG features; widths,
depth and the fields of votes follow the size of the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from textgan.data.images.pairs import PairSpec
from textgan.data.images.spec import ImageSpec
from textgan.errors import check_at_least
from textgan.game import Loss, Move, Stage, Turn
from textgan.losses import ObjectiveName
from textgan.networks.image_blocks import as_large_as
from textgan.networks.image_patches import PatchDiscriminator, PatchDiscriminatorConfig
from textgan.networks.image_pyramid import halve
from textgan.networks.image_resnet import CoarseToFine, ResnetConfig
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.referee import Score
from textgan.parts.translation_game import Batch, TranslationConfig, TranslationGame, beside, distance, sum_of

LEAST = 4
"""Pixels a side that a discriminator is shown."""


@dataclass(frozen=True)
class Config(TranslationConfig):
    """Generators of two sizes, discriminators of several."""

    global_rounds: int = 400
    """Rounds of the global generator alone."""
    local_rounds: int = 200
    """Rounds of the local one around it."""
    rounds: int = 800
    """Rounds of both."""
    loss: ObjectiveName = "least_squares"
    """The adversarial objective."""
    adversarial: float = 2.0
    """Weight of its half in the generator's loss: 2 for the paper's 1, as the objective is halved."""
    matching: float = 10.0
    """Weight of what the discriminators see of a fake and of the truth."""
    scales: int = 3
    """Discriminators, at most."""
    generator: ResnetConfig = field(default_factory=lambda: ResnetConfig(width=16, blocks=3))
    """The global generator; the local one has half as wide maps."""
    local_blocks: int = 2
    """Residual blocks of the local one; the paper has 3."""
    discriminator: PatchDiscriminatorConfig = field(default_factory=lambda: PatchDiscriminatorConfig(norm="instance"))
    """Each discriminator."""
    optimizers: OptimizersConfig = field(default_factory=lambda: OptimizersConfig(generator=1e-3, discriminator=5e-4))
    """How both sides learn; the paper has step sizes of 2e-4 in 200 epochs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "global_rounds", "local_rounds", "scales", "local_blocks")
        check_at_least(0, "game", self, "matching")


TINY = Config(
    batch_size=16,
    global_rounds=2,
    local_rounds=2,
    rounds=2,
    generator=ResnetConfig(width=8, blocks=1),
    local_blocks=1,
    discriminator=PatchDiscriminatorConfig(width=8, norm="instance"),
)


class Pix2PixHD(TranslationGame):
    """Two generators, one within the other, and a discriminator for each scale."""

    data: ClassVar[str] = "image_pairs"
    config: Config
    spec: PairSpec
    generator: CoarseToFine
    discriminator: nn.ModuleList

    def make_generator(self) -> CoarseToFine:
        return CoarseToFine(self.config.generator, self.config.local_blocks, self.spec.source, self.spec)

    def make_discriminator(self) -> nn.ModuleList:
        """The first sees images as they are, each further one images half as large."""
        extra, bias = self.spec.source_channels, self.referee.objective.has_level
        sizes = [(self.spec.height, self.spec.width)]
        while len(sizes) < self.config.scales and min(sizes[-1]) >= 2 * LEAST:
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        specs = [ImageSpec(self.spec.channels, *size, self.spec.train_size) for size in sizes]
        return nn.ModuleList([PatchDiscriminator(self.config.discriminator, spec, extra, bias) for spec in specs])

    def optimizers(self) -> dict[str, Optimizer]:
        made, generator = self.config.optimizers, self.generator
        return {
            "global_generator": made.of_generator(generator.inner(), generator.coarse_image),
            "local_generator": made.of_generator(generator.outer()),
            "generator": made.of_generator(generator.inner(), generator.outer()),
            "discriminator": made.of_discriminator(self.discriminator),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config

        def stage(name: str, rounds: int, player: str, half: bool = False) -> Stage:
            discriminate = Move("discriminator", partial(self.discriminate, half), config.discriminator_steps)
            return Stage(name, rounds, [discriminate, Move(player, partial(self.generate, half))], watched=not half)

        return [
            stage("global", config.global_rounds, "global_generator", half=True),
            stage("local", config.local_rounds, "local_generator"),
            stage("joint", config.rounds, "generator"),
        ]

    def discriminate(self, half: bool, batch: Batch, turn: Turn) -> Loss:
        source, real = self._seen(half, batch)
        with torch.no_grad():
            fake = self._made(half, batch[0])
        return self.told_apart(self.judges(source), real, fake, turn)

    def generate(self, half: bool, batch: Batch, turn: Turn) -> Loss:
        source, real = self._seen(half, batch)
        fake = self._made(half, batch[0])
        deceived = self.deceived(self.judges(source), real, fake, turn)
        return Loss({"adversarial": deceived, "matching": self.config.matching * self.matching(source, real, fake)})

    def judges(self, source: Tensor) -> Sequence[Score]:
        return [partial(self._score, place, source) for place in range(self._first(source), len(self.discriminator))]

    def matching(self, source: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        """The mean absolute difference of what a layer sees, summed over layers and scales."""
        found = []
        for place in range(self._first(source), len(self.discriminator)):
            with torch.no_grad():
                wanted = self._features(place, source, real)[:-1]
            seen = self._features(place, source, fake)[:-1]
            found += [distance(one, other) for one, other in zip(seen, wanted, strict=True)]
        return sum_of(found)

    def _score(self, place: int, source: Tensor, images: Tensor) -> Tensor:
        return self._features(place, source, images)[-1].squeeze(1)

    def _features(self, place: int, source: Tensor, images: Tensor) -> list[Tensor]:
        """What the discriminator of a scale sees of images of any of the scales before it."""
        discriminator: PatchDiscriminator = self.discriminator[place]  # type: ignore[assignment]
        return discriminator.features(halve(beside(source, images), place - self._first(images)))

    def _first(self, images: Tensor) -> int:
        """The scale of images: 0 of whole ones; the last of halves, where there is but one."""
        return min(int(images.shape[2:] != (self.spec.height, self.spec.width)), len(self.discriminator) - 1)

    def _seen(self, half: bool, batch: Batch) -> tuple[Tensor, Tensor]:
        """Source and truth as the discriminators see them: as large as each other, whole or half."""
        source, real = batch
        source = as_large_as(source, self.spec.height, self.spec.width)
        return (halve(source), halve(real)) if half else (source, real)

    def _made(self, half: bool, source: Tensor) -> Tensor:
        return self.generator.small(source) if half else self.generator(source)
