"""Characters in the style of a font, and all characters of a font from some of them."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.images.glyphs import GlyphSpec
from textgan.data.images.spec import ImageSpec
from textgan.networks.image_blocks import SMALLEST, draw_weights, norm_of
from textgan.networks.image_patches import PatchDiscriminator, PatchDiscriminatorConfig
from textgan.networks.image_unet import UNet, UNetConfig
from textgan.networks.modes import evaluating


class StyledUNet(nn.Module):
    """A U-Net that is told a style: a learned vector beside the smallest maps, the same at every place of them.

    Args:
        size: numbers of a style's vector.
    """

    def __init__(self, config: UNetConfig, spec: GlyphSpec, size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(len(spec.styles), size)
        self.body = UNet(config, spec.source, spec, extra=size)

    def forward(
        self, source: Float[Tensor, "n channels rows columns"], style: Int[Tensor, " n"]
    ) -> Float[Tensor, "n channels2 height width"]:
        return self.draw(self.body.encode(source), style)

    def draw(self, passed: list[Tensor], style: Int[Tensor, " n"]) -> Float[Tensor, "n channels height width"]:
        """The image of what a source was encoded as."""
        told = self.table(style)[:, :, None, None].expand(-1, -1, *passed[-1].shape[2:])
        return self.body.decode(passed, told)

    def code(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n size rows columns"]:
        """What an image is encoded as: the smallest maps."""
        return self.body.encode(images)[-1]


class LocalGlobalDiscriminator(nn.Module):
    """A vote for each patch, and one on the image: further halvings of what the patches' votes are made of, down to 4
    pixels a side, and a linear map (Azadi et al. 2018, section 2.1).

    Args:
        extra: maps that are handed in with the image.
        bias: of the last layers; without one where the objective does not see it.
    """

    def __init__(self, config: PatchDiscriminatorConfig, spec: ImageSpec, extra: int = 0, bias: bool = True) -> None:
        super().__init__()
        self.patches = PatchDiscriminator(config, spec, extra, bias)
        blank = torch.zeros(1, spec.channels + extra, spec.height, spec.width)
        with torch.no_grad(), evaluating(self.patches):
            width, height, columns = self.patches.features(blank)[-2].shape[1:]
        layers: list[nn.Module] = []
        while max(height, columns) >= SMALLEST:
            halving = nn.Conv2d(width, width, 3, stride=2, padding=1, bias=config.norm == "none")
            layers += [halving, norm_of(config.norm, width), nn.LeakyReLU(0.2)]
            height, columns = -(-height // 2), -(-columns // 2)
        self.whole = nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * height * columns, 1, bias=bias))
        draw_weights(self.whole, config.init_std)

    def local(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n rows columns"]:
        """A vote for each patch."""
        return self.patches(images)

    def forward(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, " n"]:
        """The vote on each image."""
        return self.whole(self.patches.features(images)[-2]).squeeze(1)
