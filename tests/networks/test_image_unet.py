"""The way down, the way up, and the ways across."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from textgan.data.images.spec import ImageSpec
from textgan.networks.image_unet import Noise, UNet, UNetConfig


def _unet(height: int = 8, width: int = 8, channels: int = 1, **options: object) -> UNet:
    torch.manual_seed(0)
    target = ImageSpec(1, height, width, train_size=1)
    return UNet(UNetConfig(width=4, **options), ImageSpec(channels, height, width, 1), target)


def test_it_goes_down_to_one_pixel_and_at_256_has_the_papers_layers():
    """C64-C128-C256-C512 and four times C512, and up again, here an eighth as wide."""
    target = ImageSpec(3, 256, 256, train_size=1)
    network = UNet(UNetConfig(width=8), target, target)
    down = [(m.in_channels, m.out_channels) for m in network.down.modules() if isinstance(m, nn.Conv2d)]
    assert down == [(3, 8), (8, 16), (16, 32), (32, 64), *[(64, 64)] * 4]
    up = [(m.in_channels, m.out_channels) for m in network.up.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert up == [(64, 64), *[(128, 64)] * 3, (128, 32), (64, 16), (32, 8), (16, 3)]
    noisy = [any(isinstance(m, Noise) for m in layer) for layer in network.up]
    assert noisy == [True, True, True, False, False, False, False, False]
    normalised = [any(isinstance(m, nn.BatchNorm2d) for m in layer) for layer in network.down]
    assert normalised == [False, *[True] * 6, False]


def test_dropout_is_on_whenever_images_are_made_and_nowhere_in_the_last_layer():
    network = _unet(dropout=0.5).eval()
    images = torch.randn(2, 1, 8, 8)
    assert not torch.equal(network(images), network(images))
    assert not any(isinstance(m, Noise) for m in network.up[-1])
    without = _unet(dropout=0.0).eval()
    assert torch.equal(without(images), without(images))


def test_dropout_drops_its_share_and_makes_up_for_it():
    torch.manual_seed(0)
    dropped = Noise(0.25).eval()(torch.ones(40_000))
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert dropped.max().item() == pytest.approx(4 / 3)


def test_each_map_on_the_way_down_is_handed_across_to_the_layer_of_its_size():
    """Where the way through the smallest maps is closed, the image is a function of the first maps alone."""
    network = _unet(dropout=0.0, norm="none").eval()
    seen = {}
    network.up[-1].register_forward_pre_hook(lambda module, inputs: seen.update(last=inputs[0]))
    network.down[0].register_forward_hook(lambda module, inputs, output: seen.update(first=output))
    network(torch.randn(1, 1, 8, 8))
    assert torch.equal(seen["last"][:, -4:], seen["first"])
    assert seen["last"].shape == (1, 8, 4, 4)


@pytest.mark.parametrize("size", [(7, 6), (9, 12), (28, 28)])
def test_odd_sizes_are_filled_up_below_and_to_the_right_and_cut_again(size):
    network = _unet(*size, dropout=0.0).eval()
    seen = {}
    network.down[0].register_forward_pre_hook(lambda module, inputs: seen.update(first=inputs[0]))
    images = torch.rand(2, 1, *size) + 1
    made = network(images)
    assert made.shape == (2, 1, *size)
    assert torch.equal(seen["first"][:, :, : size[0], : size[1]], images)
    assert seen["first"].sum().item() == pytest.approx(images.sum().item())
    assert all(side % 2 ** len(network.down) == 0 for side in seen["first"].shape[2:])


def test_a_small_source_is_enlarged():
    torch.manual_seed(0)
    network = UNet(UNetConfig(width=4, dropout=0.0), ImageSpec(3, 4, 4, 1), ImageSpec(1, 8, 8, 1)).eval()
    small = torch.randn(2, 3, 4, 4)
    assert torch.equal(network(small), network(small.repeat_interleave(2, 2).repeat_interleave(2, 3)))
