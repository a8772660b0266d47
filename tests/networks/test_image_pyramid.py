from __future__ import annotations

import pytest
import torch

from textgan.networks.image_pyramid import double, enlarge, halve, pyramid_sizes


@pytest.mark.parametrize(
    ("size", "levels", "expected"),
    [
        ((8, 8), None, [(4, 4), (8, 8)]),
        ((28, 28), None, [(4, 4), (7, 7), (14, 14), (28, 28)]),
        ((7, 6), None, [(4, 3), (7, 6)]),
        ((32, 32), 3, [(8, 8), (16, 16), (32, 32)]),
        ((4, 4), None, [(4, 4)]),
    ],
)
def test_sizes_are_halved_and_rounded_up(size, levels, expected):
    assert pyramid_sizes(*size, levels) == expected


def test_halving_takes_means_of_the_pixels_that_are_there():
    images = torch.tensor([[1.0, 3.0, 5.0], [5.0, 7.0, 7.0], [2.0, 4.0, 9.0]])[None, None]
    assert torch.equal(halve(images)[0, 0], torch.tensor([[4.0, 6.0], [3.0, 9.0]]))
    assert torch.equal(halve(images, 2)[0, 0], torch.tensor([[5.5]]))


@pytest.mark.parametrize("size", [(8, 8), (7, 6), (5, 8)])
def test_halving_takes_a_doubling_back(size):
    small = torch.randn(2, 3, -(-size[0] // 2), -(-size[1] // 2))
    doubled = double(small, size)
    assert doubled.shape[2:] == size
    torch.testing.assert_close(halve(doubled), small)


def test_enlarging_doubles_to_each_size():
    small = torch.tensor([[1.0, 2.0]])[None, None]
    expected = torch.tensor([[1.0, 1, 1, 1, 2, 2, 2], [1, 1, 1, 1, 2, 2, 2], [1, 1, 1, 1, 2, 2, 2]])
    assert torch.equal(enlarge(small, [(2, 4), (3, 7)])[0, 0], expected)
    assert torch.equal(enlarge(small, []), small)
