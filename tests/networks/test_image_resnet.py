"""Maps of an image, and how a small image is put into a large one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.networks.image_resnet import (
    CoarseToFine,
    Mirror,
    ResidualBlock,
    ResnetConfig,
    ResnetGenerator,
    halvings_for,
)

SMALL = ResnetConfig(width=4, blocks=1)


def test_mirroring_is_what_torch_calls_reflection():
    maps = torch.randn(2, 3, 5, 7)
    for pixels in (1, 3):
        assert torch.equal(Mirror(pixels)(maps), F.pad(maps, (pixels,) * 4, mode="reflect"))


def test_a_block_adds_to_what_it_is_given():
    torch.manual_seed(0)
    block, maps = ResidualBlock(4, "instance"), torch.randn(2, 4, 6, 6)
    first, second = (m for m in block.modules() if isinstance(m, nn.Conv2d))

    def normalised(maps: torch.Tensor) -> torch.Tensor:
        var, mean = torch.var_mean(maps, (2, 3), correction=0, keepdim=True)
        return (maps - mean) / (var + 1e-5).sqrt()

    def convolved(maps: torch.Tensor, layer: nn.Conv2d) -> torch.Tensor:
        return normalised(F.conv2d(F.pad(maps, (1, 1, 1, 1), mode="reflect"), layer.weight))

    torch.testing.assert_close(block(maps), maps + convolved(convolved(maps, first).relu(), second))


def test_images_of_128_pixels_are_halved_twice_and_small_ones_less_often():
    assert {side: halvings_for(side) for side in (3, 8, 15, 16, 31, 32, 128)} == {
        3: 0, 8: 0, 15: 0, 16: 1, 31: 1, 32: 2, 128: 2,
    }  # fmt: skip
    spec = ImageSpec(3, 128, 128, 1)
    network = ResnetGenerator(ResnetConfig(width=8, blocks=6), spec, spec)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    found = [(c.in_channels, c.out_channels, c.kernel_size[0], c.stride[0]) for c in convolutions]
    assert found == [
        (3, 8, 7, 1), (8, 16, 3, 2), (16, 32, 3, 2), *[(32, 32, 3, 1)] * 12, (32, 16, 3, 2), (16, 8, 3, 2),
        (8, 3, 7, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [(8, 8), (7, 6), (25, 25)])
def test_every_size_comes_back(size):
    spec, images = ImageSpec(1, *size, 1), torch.randn(2, 1, *size)
    assert ResnetGenerator(SMALL, spec, spec)(images).shape == images.shape
    assert CoarseToFine(SMALL, 1, spec, spec)(images).shape == images.shape


def test_halvings_that_leave_one_pixel_are_refused():
    spec = ImageSpec(1, 8, 8, 1)
    with pytest.raises(UserError, match=r"generator.halvings is 3, which leaves 1 pixel a side of 8 x 8"):
        ResnetGenerator(ResnetConfig(halvings=3), spec, spec)


def _coarse_to_fine() -> CoarseToFine:
    torch.manual_seed(0)
    spec = ImageSpec(1, 8, 8, 1)
    return CoarseToFine(ResnetConfig(width=4, blocks=1, init_std=0.3), 1, spec, spec)


def test_the_small_image_is_made_of_the_source_halved():
    network, source = _coarse_to_fine(), torch.randn(2, 1, 8, 8)
    halved = source.view(2, 1, 4, 2, 4, 2).mean((3, 5))
    torch.testing.assert_close(network.small(source), network.coarse_image(network.coarse(halved)))
    assert network.small(source).shape == (2, 1, 4, 4)


def test_the_outer_generator_adds_the_inner_ones_maps_to_its_own():
    network, source = _coarse_to_fine(), torch.randn(2, 1, 8, 8)
    seen = {}
    network.blocks.register_forward_pre_hook(lambda module, inputs: seen.update(maps=inputs[0]))
    network(source)
    halved = F.avg_pool2d(source, 2)
    torch.testing.assert_close(seen["maps"], network.front(source) + network.coarse(halved))


def test_inner_outer_and_the_small_image_are_all_there_is_and_share_nothing():
    network = _coarse_to_fine()
    parts = [network.inner(), network.outer(), network.coarse_image]
    found = [p for part in parts for p in part.parameters()]
    assert len(found) == len({id(p) for p in found}) == len(list(network.parameters()))
