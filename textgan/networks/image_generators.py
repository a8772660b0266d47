"""From vectors to images."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec
from textgan.errors import check_above_zero, check_at_least
from textgan.networks.image_blocks import NormName, cropped, draw_weights, halved, norm_of, sides


@dataclass(frozen=True)
class ImageGeneratorConfig:
    """A generator of images."""

    kind: Literal["mlp", "conv", "resnet"] = "conv"
    """mlp: fully connected layers. conv: transposed convolutions (DCGAN). resnet: residual blocks (WGAN-GP's)."""
    width: int = 32
    """Channels of the largest maps, twice as many in each smaller one (conv, resnet); units of a layer (mlp)."""
    layers: int = 2
    """Hidden layers (mlp)."""
    norm: NormName = "batch"
    """How maps are normalised (conv, resnet)."""
    init_std: float = 0.02
    """Standard deviation of the initial weights (conv); others have torch's."""

    def __post_init__(self) -> None:
        check_at_least(1, "generator", self, "width", "layers")
        check_above_zero("generator", self, "init_std")


class ImageGenerator(nn.Module):
    """A function from `inputs` numbers to an image in [-1, 1]."""

    def __init__(self, config: ImageGeneratorConfig, spec: ImageSpec, inputs: int) -> None:
        super().__init__()
        self.spec = spec
        if config.kind == "mlp":
            self.body: nn.Module = _layers(inputs, config, spec)
        else:
            self.body = _Maps(config, spec, inputs)

    def forward(self, latents: Float[Tensor, "n inputs"]) -> Float[Tensor, "n channels height width"]:
        return self.raw(latents).tanh()

    def raw(self, latents: Float[Tensor, "n inputs"]) -> Float[Tensor, "n channels height width"]:
        """The image before tanh: half the logits of light, where a likelihood reads it so."""
        return self.body(latents).view(-1, *self.spec.shape)


def _layers(inputs: int, config: ImageGeneratorConfig, spec: ImageSpec) -> nn.Sequential:
    sizes = [inputs, *[config.width] * config.layers]
    hidden = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.LeakyReLU(0.2))]
    return nn.Sequential(*hidden, nn.Linear(config.width, spec.numbers))


class _Maps(nn.Module):
    """A small map of many channels, doubled again and again, and cut to the image's size."""

    def __init__(self, config: ImageGeneratorConfig, spec: ImageSpec, inputs: int) -> None:
        super().__init__()
        steps = len(sides(max(spec.height, spec.width))) - 1
        self.start = tuple(halved(side, steps) for side in (spec.height, spec.width))
        self.end = (spec.height, spec.width)
        widths = [config.width * 2 ** min(k, 4) for k in range(steps, -1, -1)]
        self.first = nn.Linear(inputs, widths[0] * self.start[0] * self.start[1])
        block = _Doubling if config.kind == "conv" else _ResidualDoubling
        self.open = nn.Sequential(norm_of(config.norm, widths[0]), nn.ReLU())
        self.blocks = nn.ModuleList([block(a, b, config.norm) for a, b in pairwise(widths)])
        self.last = nn.Conv2d(widths[-1], spec.channels, 3, padding=1)
        if config.kind == "conv":
            draw_weights(self, config.init_std)

    def forward(self, latents: Tensor) -> Tensor:
        maps = self.open(self.first(latents).view(len(latents), -1, *self.start))
        for block in self.blocks:
            maps = block(maps)
        return cropped(self.last(maps), *self.end)


class _Doubling(nn.Sequential):
    """A transposed convolution that doubles height and width, normalised, rectified."""

    def __init__(self, inputs: int, outputs: int, norm: NormName) -> None:
        super().__init__(
            nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=norm == "none"),
            norm_of(norm, outputs),
            nn.ReLU(),
        )


class _ResidualDoubling(nn.Module):
    """Two convolutions after a doubling, added to a shortcut (Gulrajani et al. 2017, appendix)."""

    def __init__(self, inputs: int, outputs: int, norm: NormName) -> None:
        super().__init__()
        self.enlarge = nn.Upsample(scale_factor=2)
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1),
            norm_of(norm, outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            norm_of(norm, outputs),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        doubled = self.enlarge(maps)
        return torch.relu(self.convolutions(doubled) + self.shortcut(doubled))
