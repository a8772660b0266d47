"""What networks of images are built of."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from textgan.networks.image_blocks import (
    SMALLEST,
    MinibatchDeviation,
    MinibatchDiscrimination,
    draw_weights,
    norm_of,
    sides,
    with_spectral_norm,
)


def test_the_sides_of_known_sizes():
    assert sides(28) == [4, 7, 14, 28]
    assert sides(32) == [4, 8, 16, 32]
    assert sides(64) == [4, 8, 16, 32, 64]
    assert sides(8) == [4, 8]
    assert sides(4) == [4]
    assert sides(7) == [4, 7]


@pytest.mark.parametrize("size", range(1, 130))
def test_each_side_is_twice_the_one_before_or_one_less(size):
    found = sides(size)
    assert found[-1] == size
    assert found[0] < SMALLEST
    assert all(small >= SMALLEST // 2 for small in found[:1] if size >= SMALLEST)
    assert all(large in (2 * small, 2 * small - 1) for small, large in pairwise(found))


def test_norms_are_over_what_their_names_say():
    """Of maps with other means and deviations for each image and channel."""
    torch.manual_seed(0)
    maps = torch.randn(6, 3, 5, 5) * (1 + torch.rand(6, 3, 1, 1)) + torch.randn(6, 3, 1, 1)
    for name, dims in {"batch": (0, 2, 3), "instance": (2, 3), "layer": (1, 2, 3)}.items():
        mean, variance = maps.mean(dims, keepdim=True), maps.var(dims, correction=0, keepdim=True)
        torch.testing.assert_close(norm_of(name, 3)(maps), (maps - mean) / (variance + 1e-5).sqrt())
        assert sum(p.numel() for p in norm_of(name, 3).parameters()) == 6
    assert norm_of("none", 3)(maps) is maps


def test_weights_are_drawn_with_the_deviation_and_biases_are_zero():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(8, 40, 4), nn.ConvTranspose2d(40, 8, 4), nn.Linear(100, 50), nn.BatchNorm2d(8))
    draw_weights(network, 0.03)
    for layer in network[:3]:
        assert layer.weight.std().item() == pytest.approx(0.03, rel=0.05)
        assert layer.weight.mean().abs() < 0.002
        assert layer.bias.abs().max() == 0
        # a normal distribution: a uniform one of this deviation ends at 0.052
        assert layer.weight.abs().max() > 0.08
    assert torch.equal(network[3].weight, torch.ones(8))
    draw_weights(nn.Conv2d(1, 1, 3, bias=False), 0.03)


def test_spectral_norm_makes_the_largest_singular_value_of_every_layer_one():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.Sequential(nn.ConvTranspose2d(6, 4, 4), nn.BatchNorm2d(4)), nn.Flatten(), nn.Linear(4, 3)
    )
    plain = [network[0].weight.detach().clone(), network[1][0].weight.detach().clone()]
    assert with_spectral_norm(network) is network
    for _ in range(100):  # a power iteration at each use
        network.train()
        weights = [network[0].weight, network[1][0].weight, network[3].weight]
    # a transposed convolution's outputs are its second dimension
    matrices = [weights[0].flatten(1), weights[1].transpose(0, 1).flatten(1), weights[2]]
    for matrix in matrices:
        assert torch.linalg.matrix_norm(matrix, 2).item() == pytest.approx(1, abs=1e-3)
    largest = torch.linalg.matrix_norm(plain[0].flatten(1), 2)
    torch.testing.assert_close(weights[0], plain[0] / largest, atol=1e-3, rtol=1e-3)


def test_minibatch_deviation_is_the_mean_deviation_of_the_features():
    features = torch.randn(5, 4)
    found = MinibatchDeviation()(features)
    columns = []
    for column in features.T.tolist():
        mean = sum(column) / 5
        columns.append(math.sqrt(sum((x - mean) ** 2 for x in column) / 5))
    assert torch.equal(found[:, :4], features)
    torch.testing.assert_close(found[:, 4], torch.full((5,), sum(columns) / 4), atol=1e-5, rtol=1e-5)


def test_minibatch_deviation_of_images_that_are_all_alike_is_nearly_zero_with_a_finite_gradient():
    features = torch.randn(1, 4).repeat(6, 1).requires_grad_(True)
    found = MinibatchDeviation()(features)
    assert found[:, 4].max() < 1e-3
    found.sum().backward()
    assert features.grad.isfinite().all()


def test_minibatch_discrimination_is_how_close_the_others_are_kernel_by_kernel():
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(features=4, kernels=3, size=2)
    features = torch.randn(5, 4)
    found = layer(features)
    rows = (features @ layer.map.weight.T).view(5, 3, 2).tolist()
    for i in range(5):
        for kernel in range(3):
            close = [
                math.exp(-sum(abs(a - b) for a, b in zip(rows[i][kernel], rows[j][kernel], strict=True)))
                for j in range(5)
                if j != i
            ]
            assert found[i, 4 + kernel].item() == pytest.approx(sum(close), abs=1e-5)
    assert torch.equal(found[:, :4], features)
    assert found.shape == (5, 4 + layer.extra)


def test_minibatch_discrimination_of_images_that_are_all_alike_is_their_number():
    found = MinibatchDiscrimination(4, kernels=3, size=2)(torch.ones(6, 4))
    torch.testing.assert_close(found[:, 4:], torch.full((6, 3), 5.0))
