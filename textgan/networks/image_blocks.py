"""What generators and discriminators of images are built of."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

NormName = Literal["none", "batch", "instance", "layer"]
"""How the maps of a layer are normalised."""
SMALLEST = 5
"""Pixels a side that are not halved any more."""


def norm_of(name: NormName, channels: int) -> nn.Module:
    """A normalisation of maps ``(n, channels, height, width)``. layer: over all numbers of an image."""
    if name == "batch":
        return nn.BatchNorm2d(channels)
    if name == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    return nn.GroupNorm(1, channels) if name == "layer" else nn.Identity()


def sides(size: int) -> list[int]:
    """The sizes from the smallest map to the image, each twice the one before or one less: 28 is 4, 7, 14, 28."""
    found = [size]
    while found[0] >= SMALLEST:
        found.insert(0, -(-found[0] // 2))
    return found


def halved(side: int, times: int) -> int:
    """A side after so many halvings, each rounded up."""
    for _ in range(times):
        side = -(-side // 2)
    return side


def cropped(
    maps: Float[Tensor, "n channels rows columns"], height: int, width: int
) -> Float[Tensor, "n channels height width"]:
    """The middle of maps that are large enough."""
    top, left = (maps.shape[2] - height) // 2, (maps.shape[3] - width) // 2
    return maps[:, :, top : top + height, left : left + width]


def as_large_as(
    images: Float[Tensor, "n channels rows columns"], height: int, width: int
) -> Float[Tensor, "n channels height width"]:
    """Images with every pixel as often as it takes to have a size; themselves where they have it."""
    return images if images.shape[2:] == (height, width) else F.interpolate(images, (height, width), mode="nearest")


def with_spectral_norm(module: nn.Module) -> nn.Module:
    """Every convolution and linear map in it divided by its largest singular value (Miyato et al. 2018)."""
    for child in module.modules():
        if isinstance(child, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            spectral_norm(child)
    return module


@torch.no_grad()
def draw_weights(module: nn.Module, std: float) -> None:
    """Every convolution's and linear map's weight from N(0, std^2), its bias 0, as Radford et al. (2016) have it."""
    for child in module.modules():
        if isinstance(child, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(child.weight, 0.0, std)
            if child.bias is not None:
                nn.init.zeros_(child.bias)


class MinibatchDeviation(nn.Module):
    """One number more for each example: the mean, over all features, of their deviation in the batch.

    Karras et al. (2018, section 3). What a batch has in common then tells fakes that are all alike.
    """

    extra = 1

    def forward(self, features: Float[Tensor, "n size"]) -> Float[Tensor, "n more"]:
        deviation = (features.var(0, correction=0) + 1e-8).sqrt().mean()
        return torch.cat([features, deviation.expand(len(features), 1)], 1)


class MinibatchDiscrimination(nn.Module):
    """How close each example is to the others of its batch, under learned maps (Salimans et al. 2016, section 3.2).

    ``o_b(x_i) = sum_{j != i} exp(-|M_ib - M_jb|_1)``, M being a linear map of the features onto `kernels` rows of
    `size` numbers.
    """

    def __init__(self, features: int, kernels: int = 16, size: int = 8) -> None:
        super().__init__()
        self.extra = kernels
        self.shape = (kernels, size)
        self.map = nn.Linear(features, kernels * size, bias=False)

    def forward(self, features: Float[Tensor, "n size"]) -> Float[Tensor, "n more"]:
        rows = self.map(features).view(-1, *self.shape)
        distances = (rows[:, None] - rows).abs().sum(3)
        return torch.cat([features, (-distances).exp().sum(1) - 1], 1)  # less itself


MINIBATCH = Literal["none", "deviation", "discrimination"]
"""How a discriminator compares the images of a batch."""
