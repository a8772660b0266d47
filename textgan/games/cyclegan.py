"""CycleGAN: unpaired image-to-image translation using cycle-consistent networks (Zhu, Park, Isola and Efros, 2017).

G makes images of domain B of images of A, F the other way; what one makes, the other must be able to take back. Each
domain has a discriminator of patches, with the least-squares game of every vote (equations 1 to 3)::

    L_D = 1/2 E (D_B(b) - 1)^2 + 1/2 E D_B(G(a))^2     and the same of D_A, a and F(b)
    L_G = E (D_B(G(a)) - 1)^2 + E (D_A(F(b)) - 1)^2
          + 10 (E |F(G(a)) - a|_1 + E |G(F(b)) - b|_1) + 5 (E |G(b) - b|_1 + E |F(a) - a|_1)

An image that is of the right domain already must stay as it is (the last terms, section 5.2). Discriminators are shown
fakes of a history of 50, each new one being exchanged for one of them with probability a half.

Differs from the paper: widths, blocks, halvings and outer kernels follow the size of the images; a vote sees 16 pixels
a side by default, of small images more than the paper's share, as narrow patches of two domains are too much alike
there; the discriminators have batch norm by default, batches being of many; step sizes do not fall. Textures and tones
are changed, shapes are not, as the paper found too: the usual second domain is of soft images, and that of turned ones
is beyond it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

from textgan.data.images.spec import ImageSpec
from textgan.errors import check_at_least
from textgan.game import Loss, Turn
from textgan.losses import ObjectiveName
from textgan.networks.image_patches import PatchDiscriminator, PatchDiscriminatorConfig
from textgan.networks.image_resnet import ResnetConfig, ResnetGenerator
from textgan.parts.history import History
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.translation_game import Batch, TranslationConfig, TranslationGame, distance, sum_of


@dataclass(frozen=True)
class Config(TranslationConfig):
    """Two generators and two discriminators."""

    batch_size: int = 16
    """Given images, and real ones, of each step; the paper has one."""
    rounds: int = 800
    """Rounds of the game; each has one step of the generators."""
    loss: ObjectiveName = "least_squares"
    """The adversarial objective."""
    adversarial: float = 2.0
    """Weight of its half in the generators' loss: 2 for the paper's 1, as the objective is halved."""
    cycle: float = 10.0
    """Weight of the difference of an image and what comes back of it."""
    identity: float = 5.0
    """Weight of the difference of an image and what is made of it by the generator of its own domain."""
    history: int = 50
    """Fakes of each domain that are kept."""
    generator: ResnetConfig = field(default_factory=lambda: ResnetConfig(width=16, blocks=3))
    """Each generator."""
    discriminator: PatchDiscriminatorConfig = field(default_factory=lambda: PatchDiscriminatorConfig(field=16))
    """Each discriminator of patches."""
    optimizers: OptimizersConfig = field(default_factory=lambda: OptimizersConfig(generator=1e-3, discriminator=5e-4))
    """How both sides learn; the paper has step sizes of 2e-4 in 200 epochs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(0, "game", self, "cycle", "identity")
        check_at_least(1, "game", self, "history")


TINY = Config(
    batch_size=16,
    rounds=3,
    history=24,
    generator=ResnetConfig(width=8, blocks=1),
    discriminator=PatchDiscriminatorConfig(width=8, norm="instance"),
)


class CycleGAN(TranslationGame):
    """A generator each way, called ``generator`` and ``backward_generator``, and a discriminator of each domain."""

    data: ClassVar[str] = "image_domains"
    usual: ClassVar[Mapping[str, Any]] = {"data": {"other": "soft"}}
    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.backward_generator = self.make_generator()
        self.backward_discriminator = self.make_discriminator()
        self.history = History(config.history, *spec.shape)
        self.backward_history = History(config.history, *spec.shape)

    def make_generator(self) -> ResnetGenerator:
        return ResnetGenerator(self.config.generator, self.spec, self.spec)

    def make_discriminator(self) -> PatchDiscriminator:
        return PatchDiscriminator(self.config.discriminator, self.spec, bias=self.referee.objective.has_level)

    def optimizers(self) -> dict[str, Optimizer]:
        made = self.config.optimizers
        return {
            "generator": made.of_generator(self.generator, self.backward_generator),
            "discriminator": made.of_discriminator(self.discriminator, self.backward_discriminator),
        }

    def back(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n channels height width"]:
        """What is made of images of the second domain: images of the first."""
        return self.backward_generator(images)

    def discriminator_loss(self, batch: Batch, turn: Turn) -> Loss:
        a, b = batch
        with torch.no_grad():
            fake_b, fake_a = self.generator(a), self.backward_generator(b)
        of_b = self.told_apart([self.discriminator], b, self.history.by_chance(fake_b), turn)
        of_a = self.told_apart([self.backward_discriminator], a, self.backward_history.by_chance(fake_a), turn)
        terms = {f"{name}_a": term for name, term in of_a.terms.items()}
        terms |= {f"{name}_b": term for name, term in of_b.terms.items()}
        return Loss(terms, {name: (of_a.info[name] + of_b.info[name]) / 2 for name in of_a.info})

    def generator_loss(self, batch: Batch, turn: Turn) -> Loss:
        a, b = batch
        fake_b, fake_a = self.generator(a), self.backward_generator(b)
        deceived = [
            self.deceived([self.discriminator], b, fake_b, turn),
            self.deceived([self.backward_discriminator], a, fake_a, turn),
        ]
        terms = {"adversarial": sum_of(deceived), "cycle": self.config.cycle * self.cycle(a, b, fake_a, fake_b)}
        if self.config.identity:
            kept = distance(self.generator(b), b) + distance(self.backward_generator(a), a)
            terms["identity"] = self.config.identity * kept
        return Loss(terms)

    def cycle(self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor) -> Float[Tensor, ""]:
        """How far images are from what comes back of them."""
        return distance(self.backward_generator(fake_b), a) + distance(self.generator(fake_a), b)
