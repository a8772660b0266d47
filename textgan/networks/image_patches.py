"""Discriminators that judge an image patch by patch (PatchGAN: Isola et al. 2017, section 3.2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError, check_above_zero, check_at_least, check_fields
from textgan.networks.image_blocks import NormName, draw_weights, norm_of, with_spectral_norm

LAYERS: Mapping[int, tuple[tuple[int, int], ...]] = {
    1: ((1, 1), (1, 1), (1, 1)),
    5: ((3, 1), (3, 1), (1, 1)),
    7: ((3, 1), (3, 1), (3, 1)),
    16: ((4, 2), (4, 1), (4, 1)),
    34: ((4, 2), (4, 2), (4, 1), (4, 1)),
    70: ((4, 2), (4, 2), (4, 2), (4, 1), (4, 1)),
    142: ((4, 2), (4, 2), (4, 2), (4, 2), (4, 1), (4, 1)),
}
"""Kernel and stride of each layer, by the pixels a side that a vote sees. 1, 16 and 70 are the paper's."""
SHARE = 70 / 256
"""Of an image's side that a vote of the paper sees."""
LEAST = 5
"""Pixels a side below which a patch shows next to nothing; fewer only where they are asked for."""


@dataclass(frozen=True)
class PatchDiscriminatorConfig:
    """A discriminator with a vote for each patch."""

    width: int = 32
    """Channels of the first layer, twice as many in each further one, eight times at most."""
    field: int | None = None
    """Pixels a side that a vote sees: 1, 5, 7, 16, 34, 70 or 142. None: what is nearest to the paper's share of the
    image, 70 of 256, and at least 5."""
    norm: NormName = "batch"
    """How maps are normalised, the first layer's aside."""
    spectral: bool = False
    """Spectral normalisation of every layer."""
    init_std: float = 0.02
    """Standard deviation of the initial weights."""

    def __post_init__(self) -> None:
        check_at_least(1, "discriminator", self, "width")
        check_fields("discriminator", self, f"one of {', '.join(map(str, LAYERS))}", lambda n: n in LAYERS, "field")
        check_above_zero("discriminator", self, "init_std")


def field_for(side: int) -> int:
    """The field whose share of the side is nearest to the paper's."""
    return min((field for field in LAYERS if field >= LEAST), key=lambda field: abs(field - SHARE * side))


class PatchDiscriminator(nn.Module):
    """Convolutions from an image to a map of votes.

    Args:
        extra: maps that are handed in with the image.
        bias: of the last layer; without one where the objective does not see it.
    """

    def __init__(self, config: PatchDiscriminatorConfig, spec: ImageSpec, extra: int = 0, bias: bool = True) -> None:
        super().__init__()
        self.field = config.field or field_for(min(spec.height, spec.width))
        *hidden, (kernel, stride) = LAYERS[self.field]
        smallest = min(spec.height, spec.width)
        for size, step in hidden:
            smallest = _after(smallest, size, step)
        if smallest < 2 or _after(smallest, kernel, stride) < 1:
            raise UserError(
                f"discriminator.field is {self.field}, too large for images of {spec.width} x {spec.height} pixels; "
                "give a smaller one of " + ", ".join(map(str, LAYERS))
            )
        inputs, layers = spec.channels + extra, []
        for place, (size, step) in enumerate(hidden):
            outputs, norm = config.width * 2 ** min(place, 3), config.norm if place else "none"
            convolution = nn.Conv2d(inputs, outputs, size, step, (size - 1) // 2, bias=norm == "none")
            layers.append(nn.Sequential(convolution, norm_of(norm, outputs), nn.LeakyReLU(0.2)))
            inputs = outputs
        layers.append(nn.Sequential(nn.Conv2d(inputs, 1, kernel, stride, (kernel - 1) // 2, bias=bias)))
        self.layers = nn.ModuleList(layers)
        draw_weights(self, config.init_std)
        if config.spectral:
            with_spectral_norm(self)

    def features(self, images: Float[Tensor, "n channels height width"]) -> list[Tensor]:
        """The maps of every layer; the last are the votes ``(n, 1, rows, columns)``."""
        maps = []
        for layer in self.layers:
            images = layer(images)
            maps.append(images)
        return maps

    def forward(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n rows columns"]:
        """A vote for each patch."""
        return self.features(images)[-1].squeeze(1)


def _after(side: int, kernel: int, stride: int) -> int:
    """A side after a layer."""
    return (side + 2 * ((kernel - 1) // 2) - kernel) // stride + 1
