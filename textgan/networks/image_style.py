"""What the progressive and the style-based generators are built of (Karras et al. 2018, 2019, 2020)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

RECTIFIED = 2**0.5
"""He's gain: what a rectifier takes from the deviation of its inputs."""


class EqualisedLinear(nn.Module):
    """``y = c W x + r b`` with W from N(0, 1 / r^2), ``c = r gain / sqrt(inputs)``: scaled as it is used, not at first.

    Adam's step does not depend on a gradient's size, so all layers learn at the same relative rate (Karras et al. 2018,
    section 4.1). The rate r is that of this layer to the others' (2019, appendix C: 0.01).
    """

    def __init__(
        self, inputs: int, outputs: int, gain: float = RECTIFIED, rate: float = 1.0, bias: bool = True, level: float = 0
    ) -> None:
        """level: what ``r b`` is at first."""
        super().__init__()
        self.scale, self.rate = gain * rate / inputs**0.5, rate
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), level / rate)) if bias else None

    def forward(self, inputs: Float[Tensor, "n inputs"]) -> Float[Tensor, "n outputs"]:
        return F.linear(inputs, self.weight * self.scale, None if self.bias is None else self.bias * self.rate)


class EqualisedConv(nn.Module):
    """The same as a convolution that keeps the size: ``c = gain / sqrt(inputs kernel^2)``."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, gain: float = RECTIFIED, bias: bool = True) -> None:
        super().__init__()
        self.scale, self.padding = gain / (inputs * kernel**2) ** 0.5, kernel // 2
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, maps: Float[Tensor, "n inputs height width"]) -> Float[Tensor, "n outputs height width"]:
        return F.conv2d(maps, self.weight * self.scale, self.bias, padding=self.padding)


class ModulatedConv(nn.Module):
    """A convolution whose weights are scaled for each image (Karras et al. 2020, equations 1 and 3)::

        w'_nijk = s_ni w_ijk          w''_nijk = w'_nijk / sqrt(sum_ik w'_nijk^2 + 1e-8)

    i being an input map, j an output map, k a place of the kernel; the scales s are an affine function of the style,
    1 at first. Without demodulation w' is used. Scaling the maps that go in by s, and those that come out by the norm,
    gives the same and is one convolution for all images.
    """

    def __init__(self, inputs: int, outputs: int, style: int, kernel: int = 3, demodulate: bool = True) -> None:
        super().__init__()
        self.scales = EqualisedLinear(style, inputs, gain=1.0, level=1.0)
        self.convolution = EqualisedConv(inputs, outputs, kernel, gain=1.0, bias=False)
        self.demodulate = demodulate

    def forward(
        self, maps: Float[Tensor, "n inputs height width"], style: Float[Tensor, "n style"]
    ) -> Float[Tensor, "n outputs height width"]:
        scales = self.scales(style)
        found = self.convolution(maps * scales[:, :, None, None])
        if not self.demodulate:
            return found
        squares = (self.convolution.weight * self.convolution.scale).square().sum((2, 3))
        return found * (scales.square() @ squares.T + 1e-8).rsqrt()[:, :, None, None]


class PixelNorm(nn.Module):
    """Every place's numbers, one of each map, scaled to a mean square of 1 (Karras et al. 2018, section 4.2)."""

    def forward(self, maps: Float[Tensor, "n c *place"]) -> Float[Tensor, "n c *place"]:
        return maps * (maps.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def blur(maps: Float[Tensor, "n c height width"]) -> Float[Tensor, "n c height width"]:
    """Means with the weights 1, 2, 1 both ways; zeros lie around the maps.

    After a doubling, or before a halving, of pixels it makes the filter 1, 3, 3, 1 of Karras et al. (2020).
    """
    line = maps.new_tensor([0.25, 0.5, 0.25])
    kernel = (line[:, None] * line).expand(maps.shape[1], 1, 3, 3)
    return F.conv2d(maps, kernel, padding=1, groups=maps.shape[1])
