"""BigGAN's generator: residual blocks that are all told the category and a part of the latent vector."""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.networks.image_blocks import cropped, halved, sides, with_spectral_norm
from textgan.networks.image_conditioning import ConditionalBatchNorm


class SkipLatentGenerator(nn.Module):
    """Latents and categories to images (Brock, Donahue and Simonyan 2019, appendix B).

    A category is a vector that all layers share, at first of N(0, 1) numbers, as those of latent vectors are. The
    latent vector is cut into as many parts as there are layers: the first makes the smallest map; each further one,
    beside the category's vector, is the condition of a block's batch norms. What does not divide goes to the first.

    Args:
        latent: numbers of a latent vector.
        width: channels of the largest maps.
        embedding: numbers of the category's vector.
        spectral: spectral normalisation of every convolution and linear map.
    """

    def __init__(self, spec: ImageSpec, latent: int, width: int, embedding: int, spectral: bool) -> None:
        super().__init__()
        steps = len(sides(max(spec.height, spec.width))) - 1
        if latent <= steps:
            raise UserError(
                f"game.latent is {latent}; it must be at least {steps + 1}, one number for each layer of a generator "
                f"of {spec.width} x {spec.height} pixels"
            )
        self.spec, self.start = spec, tuple(halved(side, steps) for side in (spec.height, spec.width))
        part = latent // (steps + 1)
        self.parts = [latent - steps * part, *[part] * steps]
        widths = [width * 2 ** min(k, 4) for k in range(steps, -1, -1)]
        self.table = nn.Embedding(len(spec.categories), embedding)
        self.first = nn.Linear(self.parts[0], widths[0] * self.start[0] * self.start[1])
        self.blocks = nn.ModuleList([_Block(a, b, embedding + part) for a, b in pairwise(widths)])
        self.last = nn.Sequential(
            nn.BatchNorm2d(widths[-1]), nn.ReLU(), nn.Conv2d(widths[-1], spec.channels, 3, padding=1)
        )
        draw_orthogonal(self)
        if spectral:
            with_spectral_norm(self)

    def forward(
        self, latents: Float[Tensor, "n inputs"], category: Int[Tensor, " n"]
    ) -> Float[Tensor, "n channels height width"]:
        first, *others = latents.split(self.parts, 1)
        shared = self.table(category)
        maps = self.first(first).view(len(latents), -1, *self.start)
        for block, part in zip(self.blocks, others, strict=True):
            maps = block(maps, torch.cat([shared, part], 1))
        return cropped(self.last(maps), self.spec.height, self.spec.width).tanh()


class _Block(nn.Module):
    """Normalised under the condition, rectified, doubled, a convolution; once more, without the doubling; and a
    shortcut around it all."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(ConditionalBatchNorm(channels, condition) for channels in (inputs, outputs))
        self.enlarge = nn.Upsample(scale_factor=2)
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, outputs, 3, padding=1) for channels in (inputs, outputs))
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps: Tensor, condition: Tensor) -> Tensor:
        changed = self.enlarge(self.norms[0](maps, condition).relu())
        changed = self.norms[1](self.convolutions[0](changed), condition).relu()
        return self.convolutions[1](changed) + self.shortcut(self.enlarge(maps))


@torch.no_grad()
def draw_orthogonal(module: nn.Module) -> None:
    """Every convolution's and linear map's weight, as a matrix, with orthogonal rows or columns."""
    for child in module.modules():
        if isinstance(child, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(_as_learned(child))


def orthogonal_penalty(module: nn.Module) -> Float[Tensor, ""]:
    """``sum over W of |W W^T * (1 - I)|_F^2``: Brock et al. 2019, equation 3, which lets the rows' lengths be.

    W is the weight, filters by rows, of every convolution and linear map in it, before spectral normalisation.
    """
    found = [_as_learned(child) for child in module.modules() if isinstance(child, nn.Conv2d | nn.Linear)]
    return torch.stack([_between_rows(weight.flatten(1).float()) for weight in found]).sum()


def _between_rows(rows: Float[Tensor, "n size"]) -> Float[Tensor, ""]:
    products = rows @ rows.T
    return products.square().sum() - products.diagonal().square().sum()


def _as_learned(module: nn.Conv2d | nn.Linear) -> Tensor:
    """The weight that an optimiser moves, which spectral normalisation divides."""
    if is_parametrized(module, "weight"):
        return module.get_parameter("parametrizations.weight.original")
    return module.weight
