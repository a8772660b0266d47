from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from textgan.networks.image_pyramid import double
from textgan.networks.image_style import EqualisedConv, EqualisedLinear, ModulatedConv, PixelNorm, blur


def test_a_linear_map_is_scaled_as_it_is_used():
    layer = EqualisedLinear(8, 3, gain=2.0, rate=0.1, level=0.5)
    x = torch.randn(5, 8)
    expected = x @ layer.weight.T * 2.0 * 0.1 / 8**0.5 + 0.5
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_its_outputs_have_the_gains_deviation_whatever_the_rate(rate):
    torch.manual_seed(0)
    layer = EqualisedLinear(400, 400, rate=rate)
    assert layer(torch.randn(100, 400)).std().item() == pytest.approx(2**0.5, rel=0.05)


@pytest.mark.parametrize(("inputs", "rate"), [(4, 1.0), (400, 1.0), (4, 0.01)])
def test_a_step_of_adam_moves_every_layer_by_the_same_share(inputs, rate):
    layer = EqualisedLinear(inputs, 5, gain=1.0, rate=rate)
    adam = torch.optim.Adam(layer.parameters(), lr=0.02)
    before, bias = layer.weight.detach() * layer.scale, layer.bias.detach() * rate
    layer(torch.randn(9, inputs)).square().sum().backward()
    adam.step()
    moved = (layer.weight.detach() * layer.scale - before).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.02 * rate / inputs**0.5), rtol=1e-3, atol=0)
    torch.testing.assert_close((layer.bias.detach() * rate - bias).abs(), torch.full((5,), 0.02 * rate))


def test_a_convolution_is_scaled_by_all_its_inputs():
    layer = EqualisedConv(6, 2, 3, gain=2.0)
    maps = torch.randn(2, 6, 5, 4)
    expected = F.conv2d(maps, layer.weight * 2.0 / (6 * 9) ** 0.5, padding=1)
    torch.testing.assert_close(layer(maps), expected)


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_modulated_convolution_is_a_convolution_of_each_image_by_weights_of_its_own(demodulate, kernel):
    layer = ModulatedConv(3, 4, 5, kernel, demodulate)
    maps, style = torch.randn(6, 3, 5, 4), torch.randn(6, 5)
    found = layer(maps, style)
    weights = layer.convolution.weight / (3 * kernel**2) ** 0.5
    for image, scales, mine in zip(maps, layer.scales(style), found, strict=True):
        own = weights * scales[None, :, None, None]
        if demodulate:
            own = torch.stack([w / (w.square().sum() + 1e-8).sqrt() for w in own])
        expected = F.conv2d(image[None], own, padding=kernel // 2)[0]
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-5)


def test_demodulated_weights_have_a_norm_of_one():
    """Read off the answers to a light in the middle of each map in turn."""
    layer = ModulatedConv(3, 4, 5)
    lights = torch.zeros(3, 3, 3, 3)
    lights[torch.arange(3), torch.arange(3), 1, 1] = 1
    style = 10 * torch.randn(1, 5).expand(3, -1)
    squares = layer(lights, style).square().sum((0, 2, 3))
    torch.testing.assert_close(squares, torch.ones(4))


def test_the_scales_are_one_where_the_style_is_zero():
    layer = ModulatedConv(3, 4, 5, demodulate=False)
    maps = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(layer(maps, torch.zeros(2, 5)), layer.convolution(maps))


def test_pixel_norm_is_of_all_maps_at_one_place():
    maps = torch.tensor([[3.0, 4.0], [0.0, 2.0]]).T[None, :, :, None]  # one image, two maps, two places
    found = PixelNorm()(maps)
    expected = torch.tensor([[3.0, 4.0], [0.0, 2.0]]) / torch.tensor([[12.5], [2.0]]).sqrt()
    torch.testing.assert_close(found[0, :, :, 0], expected.T)
    torch.testing.assert_close(PixelNorm()(torch.tensor([[3.0, 4.0]])), torch.tensor([[3.0, 4.0]]) / 12.5**0.5)


def test_blurring_spreads_a_light_over_its_neighbours_of_the_same_map():
    maps = torch.zeros(1, 2, 5, 5)
    maps[0, 1, 2, 2] = 16
    expected = torch.zeros(1, 2, 5, 5)
    expected[0, 1, 1:4, 1:4] = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
    torch.testing.assert_close(blur(maps), expected)


def test_doubling_and_blurring_interpolate():
    maps = torch.randn(2, 3, 6, 6)
    expected = F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
    found = blur(double(maps, (12, 12)))
    torch.testing.assert_close(found[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1])
