"""CartoonGAN: generative adversarial networks for photo cartoonization (Chen, Lai and Liu, 2018).

G makes cartoons of photographs p. What tells a cartoon is its clear edges, so the discriminator must also reject real
cartoons c whose edges were smoothed, e(c); and what a photograph shows must be kept, through the eyes of a fixed
network phi (equations 2 to 4)::

    L_D = -E log D(c) - E log(1 - D(G(p))) - E log(1 - D(e(c)))
    L_G = -E log D(G(p)) + 10 E |phi(G(p)) - phi(p)|_1

Before the game the generator learns by its second term alone, that is, to show again what it is shown (section 3.3).
e(c) is c but for the pixels beside an edge, which are a Gaussian mean of their neighbours.

Differs from the paper: phi is not VGG but a small network of the game's own, which learns in a stage before the others,
from both domains, to say which way images were mirrored (`textgan.parts.perception`); edges are places of a large
gradient (Sobel's), not Canny's, and the Gaussian is 3 pixels wide; the generator deceives with -log D, not with
log(1 - D); widths, halvings, outer kernels and the fields of votes follow the size of the images; by default what is
seen weighs 1, not 10, with which small images hardly change. The usual second domain is of the images in three flat
tones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

from textgan.data.images.pairs import outline
from textgan.data.images.spec import ImageSpec
from textgan.errors import check_at_least, check_share
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.image_patches import PatchDiscriminator, PatchDiscriminatorConfig
from textgan.networks.image_resnet import ResnetConfig, ResnetGenerator
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.perception import Perception, PerceptionConfig
from textgan.parts.translation_game import Batch, TranslationConfig, TranslationGame, distance


@dataclass(frozen=True)
class Config(TranslationConfig):
    """A generator of cartoons, a discriminator, and a network to see with."""

    content_rounds: int = 600
    """Rounds in which the generator learns to keep what it is shown."""
    rounds: int = 1000
    """Rounds of the game."""
    content: float = 1.0
    """Weight of the difference of what is seen in a photograph and in the cartoon of it."""
    edge: float = 0.25
    """Share of the largest gradient, in [0, 1), beyond which there is an edge."""
    generator: ResnetConfig = field(default_factory=lambda: ResnetConfig(width=16, blocks=3))
    """The generator."""
    discriminator: PatchDiscriminatorConfig = field(default_factory=PatchDiscriminatorConfig)
    """The discriminator of patches."""
    optimizers: OptimizersConfig = field(default_factory=lambda: OptimizersConfig(generator=1e-3, discriminator=5e-4))
    """How both sides learn."""
    perception: PerceptionConfig = field(default_factory=PerceptionConfig)
    """The network through which images are compared."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "content_rounds")
        check_at_least(0, "game", self, "content")
        check_share("game", self, "edge")


TINY = Config(
    batch_size=16,
    content_rounds=3,
    rounds=3,
    generator=ResnetConfig(width=8, blocks=1),
    discriminator=PatchDiscriminatorConfig(width=8),
    perception=PerceptionConfig(width=8, rounds=3),
)


class CartoonGAN(TranslationGame):
    """The first domain is of photographs, the second of cartoons."""

    data: ClassVar[str] = "image_domains"
    usual: ClassVar[Mapping[str, Any]] = {"data": {"other": "flat"}}
    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.perception = Perception(config.perception, spec)

    def make_generator(self) -> ResnetGenerator:
        return ResnetGenerator(self.config.generator, self.spec, self.spec)

    def make_discriminator(self) -> PatchDiscriminator:
        return PatchDiscriminator(self.config.discriminator, self.spec, bias=self.referee.objective.has_level)

    def optimizers(self) -> dict[str, Optimizer]:
        return {"perception": self.perception.optimizer(), **super().optimizers()}

    def stages(self) -> Sequence[Stage]:
        content = Stage("content", self.config.content_rounds, [Move("generator", self.content_loss)])
        return [self.perception.stage(torch.cat), content, self.adversarial()]

    def content_loss(self, batch: Batch, turn: Turn) -> Loss:
        photographs, cartoons = batch
        return Loss(self.likeness(self.generator(photographs), photographs, cartoons))

    def discriminator_loss(self, batch: Batch, turn: Turn) -> Loss:
        loss = super().discriminator_loss(batch, turn)
        cartoons = batch[1]
        smoothed = self.told_apart(self.judges(cartoons), cartoons, smooth_edges(cartoons, self.config.edge), turn)
        return Loss({**loss.terms, "smoothed": smoothed.terms["fake"]}, loss.info)

    def likeness(self, fake: Tensor, source: Tensor, real: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            wanted = self.perception.features(source)
        return {"content": self.config.content * distance(self.perception.features(fake), wanted)}


def smooth_edges(
    images: Float[Tensor, "n channels height width"], edge: float
) -> Float[Tensor, "n channels height width"]:
    """Images with a Gaussian mean of 3 x 3 pixels where an edge is, or beside; elsewhere as they are.

    Args:
        edge: share of the largest gradient beyond which there is an edge.
    """
    near = F.max_pool2d((outline(images) > 2 * edge - 1).float(), 3, stride=1, padding=1) > 0
    row = torch.tensor([0.25, 0.5, 0.25], device=images.device)
    channels = images.shape[1]
    kernel = torch.outer(row, row).expand(channels, 1, 3, 3)
    smooth = F.conv2d(F.pad(images.float(), (1, 1, 1, 1), mode="replicate"), kernel, groups=channels)
    return torch.where(near, smooth, images)
