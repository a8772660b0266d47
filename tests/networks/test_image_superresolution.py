"""How four maps become one that is twice as large."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from textgan.data.images.pairs import PairSpec
from textgan.errors import UserError
from textgan.networks.image_superresolution import SRResNet, SRResNetConfig, _doubling, doublings_of


def _spec(target: tuple[int, int], source: tuple[int, int], channels: int = 1) -> PairSpec:
    height, width = source
    return PairSpec(channels, *target, 1, source_channels=channels, source_height=height, source_width=width)


def test_four_maps_beside_each_other_become_the_four_pixels_of_a_square():
    """Number 4 c + 2 i + j at (y, x) becomes number c at (2 y + i, 2 x + j)."""
    layer = _doubling(3)
    seen = {}
    layer[0].register_forward_hook(lambda module, inputs, output: seen.update(maps=output))
    made = layer[:2](torch.randn(2, 3, 4, 5))
    maps = seen["maps"]
    assert maps.shape == (2, 12, 4, 5)
    assert made.shape == (2, 3, 8, 10)
    for c in range(3):
        for i in range(2):
            for j in range(2):
                assert torch.equal(made[:, c, i::2, j::2], maps[:, 4 * c + 2 * i + j])


@pytest.mark.parametrize(
    ("target", "source", "times"), [((8, 8), (8, 8), 0), ((8, 6), (4, 3), 1), ((32, 32), (8, 8), 2)]
)
def test_it_doubles_as_often_as_it_takes(target, source, times):
    network = SRResNet(SRResNetConfig(width=4, blocks=1), _spec(target, source))
    assert doublings_of(_spec(target, source)) == times
    assert sum(isinstance(m, nn.PixelShuffle) for m in network.modules()) == times
    assert network(torch.randn(2, 1, *source)).shape == (2, 1, *target)


@pytest.mark.parametrize(("target", "source"), [((9, 9), (3, 3)), ((8, 8), (4, 8)), ((4, 4), (8, 8))])
def test_other_factors_are_refused(target, source):
    with pytest.raises(UserError, match=r"1, 2, 4, ... times as large"):
        SRResNet(SRResNetConfig(), _spec(target, source))


def test_the_blocks_are_passed_by():
    """Without them the maps are those of the first layer: what is enlarged is the sum of both."""
    torch.manual_seed(0)
    network, images = SRResNet(SRResNetConfig(width=4, blocks=2), _spec((8, 8), (4, 4))), torch.randn(2, 1, 4, 4)
    maps = network.open(images)
    residual = [block for block in network.blocks if hasattr(block, "body")]
    assert len(residual) == 2
    through = maps
    for block in residual:
        through = through + block.body(through)
    through = network.blocks[3](network.blocks[2](through))
    torch.testing.assert_close(network(images), network.close(maps + through))
