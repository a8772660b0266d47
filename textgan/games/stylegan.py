"""StyleGAN2: a generator based on styles (Karras, Laine and Aila, 2019; Karras et al., 2020).

A mapping turns a latent into a style w; in each layer of the synthesis, which begins with learned maps, the weights of
the convolution are scaled by an affine function of w and divided by their norm; noise is added at every place. With
probability `mixing` the layers from a random one on have the style of a second latent. The game is non-saturating,
with R1 on real images and, on the generator, the path length::

    L_D = -E log s(D(x)) - E log(1 - s(D(G(w))))        every 16th round + gamma / 2 E |grad_x D(x)|^2
    L_G = -E log s(D(G(w)))                             every 4th round  + 2 E (|J_w^T y| - a)^2

y is N(0, I) divided by the root of the number of pixels, J_w the Jacobian of the image at the styles, and a, a buffer,
the running mean of |J_w^T y|. Terms that are lazily made have a step of their own and are weighted by their interval;
Adam, with beta1 0 and beta2 0.99, is slowed as the paper has it: ``c = k / (k + 1)``, rate c, decays to the power of c.
What is sampled is well averaged over the steps (``trainer.ema: 0.999``).

Differs from the paper: the smallest size is the image's, halved until 3 or 4 pixels are left; sizes, rates and gamma
are for few and small images, on which mixed styles, the path length and a slow mapping together do harm
(``docs/benchmarks.md``): they are off, and ``configs/stylegan-faces.yaml`` has them. Images are enlarged and halved
by doubling, or by means of 2 x 2, with the filter 1, 2, 1, which together are the paper's 1, 3, 3, 1; the deviation
of the batch, of all of it, is a feature after the last convolution; the running mean begins with the first path
length, not with 0, from where it would need hundreds of steps; the path length is of half a batch, as in the authors'
code; truncation is an option of `sample`, with the mean of fresh styles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError, check_above_zero, check_at_least, check_share
from textgan.game import Loss, Move, Stage, Turn
from textgan.losses import r1_penalty
from textgan.networks.image_synthesis import StyleDiscriminator, StyleGenerator
from textgan.parts.image_game import LatentImageGame, LatentImageGameConfig
from textgan.parts.optimizers import OptimizersConfig


@dataclass(frozen=True)
class Config(LatentImageGameConfig):
    """Styles."""

    batch_size: int = 32
    """Real images, and fakes, of each step."""
    style: int = 64
    """Numbers of a style."""
    layers: int = 2
    """Layers of the mapping. The paper: 8."""
    mapping_rate: float = 1.0
    """Their learning rate, as a share of the others'. The paper: 0.01."""
    width: int = 16
    """Maps of the largest size; twice as many of each smaller one."""
    most: int = 64
    """Maps at most."""
    mixing: float = 0.0
    """Share of the images with two styles. The paper: 0.9."""
    gamma: float = 10.0
    """Weight of R1: the fewer images there are, the sooner a discriminator knows them by heart."""
    gamma_every: int = 16
    """Rounds from one step on R1 to the next."""
    path: float = 0.0
    """Weight of the path length. 0: none. The paper: 2."""
    path_every: int = 4
    """Rounds from one step on it to the next."""
    path_decay: float = 0.01
    """Share of a batch, after the first, in the running mean of the path length, in [0, 1)."""
    optimizers: OptimizersConfig = field(
        default_factory=lambda: OptimizersConfig(generator=5e-3, discriminator=5e-3, beta1=0.0, beta2=0.99)
    )
    """How both sides learn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "style", "layers", "width", "most", "gamma_every", "path_every")
        check_at_least(0, "game", self, "path")
        check_above_zero("game", self, "mapping_rate", "gamma")
        check_share("game", self, "mixing", "path_decay")
        if self.tricks.diversity:
            raise UserError(
                f"game.tricks.diversity is {self.tricks.diversity}; images of two latents have none: only 0"
            )


TINY = Config(
    batch_size=16, rounds=3, latent=8, style=8, mapping_rate=0.01, width=8, most=8, mixing=0.9, gamma_every=2, path=2.0,
    path_every=2,
)  # fmt: skip


class StyleGAN(LatentImageGame):
    """A style-based generator and a residual discriminator."""

    config: Config
    generator: StyleGenerator
    path_mean: Tensor

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.register_buffer("path_mean", torch.zeros(()))

    def make_generator(self) -> StyleGenerator:
        c = self.config
        return StyleGenerator(self.spec, c.latent, c.style, c.layers, c.mapping_rate, c.width, c.most)

    def make_discriminator(self) -> StyleDiscriminator:
        return StyleDiscriminator(self.spec, self.config.width, self.config.most, self.referee.objective.has_level)

    def optimizers(self) -> dict[str, Optimizer]:
        made = super().optimizers()
        _slow(made["discriminator"], self.config.gamma_every)
        if self.config.path:
            _slow(made["generator"], self.config.path_every)
        return made

    def stages(self) -> Sequence[Stage]:
        config = self.config
        moves = [
            Move("discriminator", self.discriminator_loss, config.discriminator_steps),
            Move("discriminator", self.gradient_loss, every=config.gamma_every),
            Move("generator", self.generator_loss),
        ]
        if config.path:
            moves.append(Move("generator", self.path_loss, every=config.path_every))
        return [Stage("adversarial", config.rounds, moves)]

    def mixed(self, n: int) -> Float[Tensor, "n styles style"]:
        """Styles of `n` images; of some, those of the layers from a random one on are another latent's."""
        first, second = (self.generator.map(self.latents(n)) for _ in range(2))
        layers = torch.arange(first.shape[1], device=first.device)
        crossing = torch.randint(1, len(layers), (n, 1), device=first.device)
        mixes = torch.rand(n, 1, device=first.device) < self.config.mixing
        return torch.where((mixes & (layers >= crossing))[:, :, None], second, first)

    def decode(self, latents: Float[Tensor, "n size"]) -> Float[Tensor, "n channels height width"]:
        """The images of latent vectors, without noise."""
        return self.generator(self.generator.map(latents), noise=False).clamp(-1, 1)

    def sample(self, n: int, truncation: float = 1.0) -> Float[Tensor, "n channels height width"]:
        """Images, with noise. truncation: how far styles lie from their mean, as a share; 0.5 is less varied."""
        styles = self.generator.map(self.latents(n))
        if truncation != 1:
            mean = self.generator.map(self.latents(1000)).mean(0)
            styles = torch.lerp(mean.expand_as(styles), styles, truncation)
        return self.generator(styles).clamp(-1, 1)

    def sheets(self) -> dict[str, Float[Tensor, "rows columns channels height width"]]:
        """Each row has the coarse layers' style of one image, each column the fine ones' of another."""
        rows, columns = (self.generator.map(self.latents(8)) for _ in range(2))
        half = self.generator.styles // 2
        pairs = torch.cat(
            [rows[:, None, :half].expand(-1, 8, -1, -1), columns[None, :, half:].expand(8, -1, -1, -1)], 2
        )
        return {"styles": self.generator(pairs.flatten(0, 1), noise=False).clamp(-1, 1).unflatten(0, (8, 8))}

    def discriminator_loss(self, real: Tensor, turn: Turn) -> Loss:
        with torch.no_grad():
            fake = self.generator(self.mixed(len(real)))
        return self.referee.discriminator(self.discriminator, real, fake, turn)

    def gradient_loss(self, real: Tensor, turn: Turn) -> Loss:
        """R1, as often as its weight says."""
        weight = self.config.gamma / 2 * self.config.gamma_every
        return Loss({"gradient": weight * r1_penalty(self.discriminator, real)})

    def generator_loss(self, real: Tensor, turn: Turn) -> Loss:
        fake = self.generator(self.mixed(len(real)))
        return Loss({"adversarial": self.referee.generator(self.discriminator, real, fake, turn)})

    def path_loss(self, real: Tensor, turn: Turn) -> Loss:
        """How far the path lengths of some images lie from their running mean, which they move."""
        with torch.autocast(real.device.type, enabled=False):
            styles = self.mixed(max(1, len(real) // 2))
            lengths = path_lengths(self.generator(styles), styles)
        mean = lengths.detach().mean()
        mean = torch.lerp(self.path_mean, mean, self.config.path_decay).where(self.path_mean > 0, mean)
        self.path_mean.copy_(mean)
        term = self.config.path * self.config.path_every * (lengths - self.path_mean).square().mean()
        return Loss({"path": term}, {"path_length": self.path_mean.clone()})


def path_lengths(
    images: Float[Tensor, "n channels height width"], styles: Float[Tensor, "n styles style"]
) -> Float[Tensor, " n"]:
    """``|J^T y|`` of each image, a root of the mean over layers of squares of the gradient of ``sum(image y)``.

    Karras et al. 2020, equation 4; y from N(0, I / pixels).
    """
    noise = torch.randn_like(images) / (images.shape[2] * images.shape[3]) ** 0.5
    (slope,) = torch.autograd.grad((images * noise).sum(), styles, create_graph=True)
    return (slope.square().sum(2).mean(1) + 1e-12).sqrt()


def _slow(optimizer: Optimizer, every: int) -> None:
    """Adam with one step more, of a lazy term, in each `every` rounds: as fast as if the term were in every step."""
    share = every / (every + 1)
    for group in optimizer.param_groups:
        group["lr"] *= share
        if "betas" in group:
            group["betas"] = tuple(beta**share for beta in group["betas"])
