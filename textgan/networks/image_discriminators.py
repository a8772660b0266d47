"""From images to scores."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec
from textgan.errors import check_at_least, check_share
from textgan.networks.image_blocks import (
    MINIBATCH,
    MinibatchDeviation,
    MinibatchDiscrimination,
    NormName,
    draw_weights,
    norm_of,
    sides,
    with_spectral_norm,
)


@dataclass(frozen=True)
class ImageDiscriminatorConfig:
    """A discriminator or critic of images."""

    kind: Literal["mlp", "conv", "resnet"] = "conv"
    """mlp: fully connected layers. conv: convolutions that halve (DCGAN). resnet: residual blocks that halve."""
    width: int = 32
    """Channels of the largest maps, twice as many in each smaller one (conv, resnet); units of a layer (mlp)."""
    layers: int = 2
    """Hidden layers (mlp)."""
    norm: NormName = "none"
    """How maps are normalised (conv, resnet). A gradient penalty forbids batch: it ties the images of a batch."""
    spectral: bool = False
    """Spectral normalisation of every layer."""
    dropout: float = 0.0
    """Share of the features that are dropped."""
    minibatch: MINIBATCH = "none"
    """Lets it compare the images of a batch, against collapse: by their deviation (Karras et al. 2018) or by learned
    distances (Salimans et al. 2016)."""
    init_std: float = 0.02
    """Standard deviation of the initial weights (conv); others have torch's."""

    def __post_init__(self) -> None:
        check_at_least(1, "discriminator", self, "width", "layers")
        check_share("discriminator", self, "dropout")


class ImageDiscriminator(nn.Module):
    """Features of an image, and `outputs` numbers from them.

    Args:
        extra: maps that a conditional game hands in with the image.
        bias: of the last layer; without one where the objective does not see it.
    """

    def __init__(
        self, config: ImageDiscriminatorConfig, spec: ImageSpec, outputs: int = 1, extra: int = 0, bias: bool = True
    ) -> None:
        super().__init__()
        channels = spec.channels + extra
        if config.kind == "mlp":
            sizes = [channels * spec.height * spec.width, *[config.width] * config.layers]
            hidden = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.LeakyReLU(0.2))]
            self.body: nn.Module = nn.Sequential(nn.Flatten(), *hidden)
        else:
            steps = len(sides(max(spec.height, spec.width))) - 1
            widths = [config.width * 2 ** min(k, 4) for k in range(steps + 1)]
            block = _Halving if config.kind == "conv" else _ResidualHalving
            # The first layer is never normalised: the mean and the range of an image are what it is.
            first = nn.Sequential(nn.Conv2d(channels, widths[0], 3, padding=1), nn.LeakyReLU(0.2))
            self.body = nn.Sequential(first, *[block(a, b, config.norm) for a, b in pairwise(widths)], nn.Flatten())
        if config.kind == "conv":
            draw_weights(self.body, config.init_std)
        with torch.no_grad():
            self.size = self.body.eval()(torch.zeros(1, channels, spec.height, spec.width)).shape[1]
        self.body.train()
        """Of the features."""
        self.dropout = nn.Dropout(config.dropout)
        self.compare: nn.Module = nn.Identity()
        more = 0
        if config.minibatch != "none":
            found = MinibatchDeviation() if config.minibatch == "deviation" else MinibatchDiscrimination(self.size)
            self.compare, more = found, found.extra
        self.output = nn.Linear(self.size + more, outputs, bias=bias)
        if config.spectral:
            with_spectral_norm(self)

    def features(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n size"]:
        """What the output looks at, the comparison with the batch aside."""
        return self.body(images)

    def forward(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n *outputs"]:
        """A score an image or, of several outputs, ``(n, outputs)``."""
        return self.judge(self.features(images))

    def judge(self, features: Float[Tensor, "n size"]) -> Float[Tensor, "n *outputs"]:
        """The score of features."""
        return self.output(self.compare(self.dropout(features))).squeeze(1)


class _Halving(nn.Sequential):
    """A convolution that halves height and width, rounding up, normalised, rectified."""

    def __init__(self, inputs: int, outputs: int, norm: NormName) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=norm == "none"),
            norm_of(norm, outputs),
            nn.LeakyReLU(0.2),
        )

    def forward(self, maps: Tensor) -> Tensor:
        height, width = maps.shape[2:]
        return super().forward(nn.functional.pad(maps, (0, width % 2, 0, height % 2)))


class _ResidualHalving(nn.Module):
    """Two convolutions, added to a shortcut, then a halving (Gulrajani et al. 2017, appendix)."""

    def __init__(self, inputs: int, outputs: int, norm: NormName) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1),
            norm_of(norm, outputs),
            nn.LeakyReLU(0.2),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            norm_of(norm, outputs),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.halve = nn.AvgPool2d(2, ceil_mode=True)

    def forward(self, maps: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.halve(self.convolutions(maps) + self.shortcut(maps)), 0.2)
