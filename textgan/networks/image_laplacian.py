"""A generator of a Laplacian pyramid: the smallest image, and what each larger one has beyond the one before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textgan.networks.image_pyramid import double


class ResidualGenerator(nn.Module):
    """Convolutions from an enlarged image and a map of noise to what the image lacks, which is not bounded."""

    def __init__(self, channels: int, width: int, layers: int) -> None:
        super().__init__()
        sizes = [channels + 1, *[width] * layers]
        hidden = [m for a, b in pairwise(sizes) for m in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU())]
        self.body = nn.Sequential(*hidden, nn.Conv2d(width, channels, 3, padding=1))

    def forward(
        self, noise: Float[Tensor, "n 1 height width"], low: Float[Tensor, "n channels height width"]
    ) -> Float[Tensor, "n channels height width"]:
        return self.body(torch.cat([noise, low], 1))


class PyramidGenerator(nn.Module):
    """A generator of the smallest image and a `ResidualGenerator` of each larger size."""

    def __init__(
        self, smallest: nn.Module, latent: int, sizes: list[tuple[int, int]], residuals: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        self.sizes, self.latent = sizes, latent
        self.levels = nn.ModuleList([smallest, *residuals])
        self.inputs = latent + sum(height * width for height, width in sizes[1:])
        """Numbers that decide an image: the smallest image's latent and the noise of each level."""

    def noise(self, latents: Float[Tensor, "n inputs"], level: int) -> Tensor:
        """What a level takes of the numbers: ``(n, latent)``, or a map ``(n, 1, height, width)``."""
        if level == 0:
            return latents[:, : self.latent]
        start = self.latent + sum(height * width for height, width in self.sizes[1:level])
        height, width = self.sizes[level]
        return latents[:, start : start + height * width].view(-1, 1, height, width)

    def forward(self, latents: Float[Tensor, "n inputs"], reached: int) -> list[Float[Tensor, "n channels _ _"]]:
        """The images of all levels, in [-1, 1]; those beyond `reached` are enlarged and have nothing added."""
        images = [self.levels[0](self.noise(latents, 0))]
        for level, size in enumerate(self.sizes[1:], 1):
            low = double(images[-1], size)
            lacks = self.levels[level](self.noise(latents, level), low) if level <= reached else 0
            images.append((low + lacks).clamp(-1, 1))
        return images
