"""What a classifier of images costs, and that it sees all of an image."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from textgan.networks.image_classifier import ImageClassifier, rotations


def operations(size: int, maps: list[tuple[int, int, int]], classes: int) -> int:
    """Of convolutions of 3 x 3 (places a side, maps in, maps out) and of the last layer."""
    return sum(2 * side**2 * 9 * before * after for side, before, after in maps) + 2 * 64 * classes


@pytest.mark.parametrize(
    ("size", "maps"),
    [
        (8, [(8, 1, 32), (8, 32, 64), (4, 64, 64)]),
        (15, [(15, 1, 32), (15, 32, 64), (7, 64, 128), (3, 128, 64)]),
        (28, [(28, 1, 32), (14, 32, 64), (7, 64, 128), (3, 128, 64)]),
    ],
)
def test_large_images_are_halved_by_the_first_convolution(size: int, maps: list[tuple[int, int, int]]) -> None:
    network = ImageClassifier(1, size, 10)
    with FlopCounterMode(display=False) as counter:
        network(torch.randn(1, 1, size, size).expand(2, -1, -1, -1))
    assert counter.get_total_flops() == 2 * operations(size, maps, 10)


@pytest.mark.parametrize("size", [8, 28])
def test_every_pixel_has_a_say(size: int) -> None:
    torch.manual_seed(0)
    network = ImageClassifier(1, size, 10).eval()
    images = torch.rand(4, 1, size, size, requires_grad=True)
    network(images).square().sum().backward()
    assert images.grad is not None
    assert images.grad[:, :, : size // 2 * 2, : size // 2 * 2].abs().sum(0).gt(0).float().mean() > 0.95


def test_turns_are_labelled_by_quarters() -> None:
    image = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, None]
    turned, label = rotations(image)
    assert label.tolist() == [0, 1, 2, 3]
    assert turned[:, 0].tolist() == [[[1, 2], [3, 4]], [[2, 4], [1, 3]], [[4, 3], [2, 1]], [[3, 1], [4, 2]]]
