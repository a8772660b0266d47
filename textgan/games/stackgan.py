"""StackGAN: an image of a sentence, sketched small and then refined (Zhang, Xu, Li et al., 2017).

A caption's vector phi gives a distribution that a generator's condition c is drawn from (conditioning augmentation).
Stage I makes images of half the size of latents z and c; stage II, with stage I fixed, makes large ones of the small
ones and of a condition of its own (equations 3 to 6). A discriminator is shown images x with captions t, fakes, and
real images with the captions t' of others::

    L_D = -E log D(x, t) - 1/2 E log(1 - D(G(z, c), t)) - 1/2 E log(1 - D(x, t'))
    L_G = -E log D(G(z, c), t) + w KL(N(mu(phi), Sigma(phi)) || N(0, I))

Differs from the paper: captions are read by an LSTM in each network, which learns with it, where the paper has one
encoder, pretrained on other images, for all; images grow twofold, where the paper's grow fourfold; a caption's vector
joins an image's features as a whole, not at each place of the last maps; the divergence is a mean over the numbers of
c; constant step sizes; widths and depth follow the size of the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim import Optimizer

from textgan.data.images.captions import CaptionedImages, CaptionedSpec
from textgan.errors import check_at_least
from textgan.game import Act, Loss, Move, Stage, Turn
from textgan.networks.image_captions import CaptionConfig, CaptionedDiscriminator
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.networks.image_pyramid import double, halve, pyramid_sizes
from textgan.networks.image_refining import CaptionedGenerator, Painted, RefiningGenerator
from textgan.networks.modes import evaluating
from textgan.parts.caption_game import CaptionGame, CaptionGameConfig

NAMES = ("one", "two")
"""Of the stages."""


@dataclass(frozen=True)
class Config(CaptionGameConfig):
    """Two generators and two discriminators."""

    rounds: int = 700
    """Rounds of each stage."""
    generator: ImageGeneratorConfig = field(default_factory=ImageGeneratorConfig)
    """Of stage I."""
    width: int = 32
    """Maps of the largest size of stage II's generator."""
    blocks: int = 2
    """Its residual blocks; the paper has 4."""
    discriminator: ImageDiscriminatorConfig = field(default_factory=lambda: ImageDiscriminatorConfig(norm="batch"))
    """Of both stages."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "width")
        check_at_least(0, "game", self, "blocks")


TINY = Config(
    batch_size=16,
    rounds=3,
    latent=8,
    width=8,
    blocks=1,
    captions=CaptionConfig(embedding=8, hidden=8, condition=8),
    generator=ImageGeneratorConfig(width=8),
    discriminator=ImageDiscriminatorConfig(width=8, norm="batch"),
)


class StackGAN(CaptionGame):
    """A sketch and its refinement. A buffer, which an act sets, knows the stage that is reached."""

    config: Config
    generator: nn.ModuleList
    discriminator: nn.ModuleList
    reached: Tensor

    def __init__(self, config: Config, spec: CaptionedSpec) -> None:
        super().__init__(config, spec)
        self.register_buffer("reached", torch.zeros((), dtype=torch.long))

    def make_generator(self) -> nn.ModuleList:
        c, low = self.config, self.small
        sketch = CaptionedGenerator(c.generator, c.captions, low, c.latent)
        size = (low.height, low.width)
        return nn.ModuleList([sketch, RefiningGenerator(c.captions, self.spec, size, c.width, c.blocks)])

    def make_discriminator(self) -> nn.ModuleList:
        c, bias = self.config, self.referee.objective.has_level
        specs = (self.small, self.spec)
        return nn.ModuleList([CaptionedDiscriminator(c.discriminator, c.captions, s, bias=bias) for s in specs])

    @property
    def small(self) -> CaptionedSpec:
        """What stage I makes."""
        height, width = pyramid_sizes(self.spec.height, self.spec.width, 2)[0]
        return replace(self.spec, height=height, width=width)

    def optimizers(self) -> dict[str, Optimizer]:
        made, found = self.config.optimizers, {}
        for stage, name in enumerate(NAMES):
            found[f"generator_{name}"] = made.of_generator(self.generator[stage])
            found[f"discriminator_{name}"] = made.of_discriminator(self.discriminator[stage])
        return found

    def stages(self) -> Sequence[Stage]:
        """One for each size; a collapse is looked for in the images that are wanted alone."""
        return [
            Stage(
                f"stage_{name}",
                self.config.rounds,
                [
                    Act(partial(self.reach, stage)),
                    Move(f"discriminator_{name}", partial(self.stage_loss, stage), self.config.discriminator_steps),
                    Move(f"generator_{name}", partial(self.stage_generator_loss, stage)),
                ],
                watched=stage == 1,
            )
            for stage, name in enumerate(NAMES)
        ]

    def reach(self, stage: int, turn: Turn) -> None:
        """From now on images are this stage's."""
        self.reached.fill_(stage)

    def decode(  # type: ignore[override]
        self, latents: Float[Tensor, "n size"], caption: Int[Tensor, "n length"]
    ) -> Float[Tensor, "n channels height width"]:
        """In stage I the small images, enlarged."""
        images = self.generator[0](latents, caption).images
        if self.reached:
            return self.generator[1](images, caption).images
        return double(images, (self.spec.height, self.spec.width))

    def stage_loss(self, stage: int, real: CaptionedImages, turn: Turn) -> Loss:
        """The discriminator's of a stage."""
        with torch.no_grad():
            fake = self.paint(stage, real.caption).images
        return self.told_apart(self.networks[stage], self.shown(stage, real), fake, 0.5, turn)

    def stage_generator_loss(self, stage: int, real: CaptionedImages, turn: Turn) -> Loss:
        """The generator's of a stage."""
        painted = self.paint(stage, real.caption)
        adversarial = self.deceived(self.networks[stage], self.shown(stage, real), painted.images, turn)
        return Loss({"adversarial": adversarial, "augmentation": self.divergence(painted.condition)})

    def paint(self, stage: int, caption: Int[Tensor, "n length"]) -> Painted:
        """Fakes of a stage; the second begins with what the first, which is still, makes."""
        sketch, refine = self.generator
        latents = self.latents(len(caption))
        if stage == 0:
            return sketch(latents, caption)
        with torch.no_grad(), evaluating(sketch):
            low = sketch(latents, caption).images
        return refine(low, caption)

    def shown(self, stage: int, real: CaptionedImages) -> CaptionedImages:
        """Real images as large as a stage's."""
        return real if stage else CaptionedImages(halve(real.image), real.caption)
