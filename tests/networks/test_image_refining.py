"""Generators of images of captions: sizes, and what depends on what."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.games.test_every_game import SPECS
from textgan.networks.image_captions import CaptionConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.networks.image_pyramid import pyramid_sizes
from textgan.networks.image_refining import CaptionedGenerator, RefiningGenerator, TreeGenerator
from textgan.reproducibility import seed_everything

SPEC = SPECS["captioned_images"]["grey"]
CAPTIONS = CaptionConfig(embedding=4, hidden=4, condition=4)
CAPTION = torch.tensor([[4, 5, 2, 0], [4, 6, 2, 0]])
SIZES = [(8, 8), (7, 6), (16, 16), (28, 28), (33, 20), (64, 64)]


def spec_of(size: tuple[int, int], channels: int = 1):
    return dataclasses.replace(SPEC, channels=channels, height=size[0], width=size[1])


@pytest.fixture(autouse=True)
def seeded() -> None:
    seed_everything(0)


@pytest.mark.parametrize("size", SIZES)
class TestSizes:
    def test_refined_images_are_twice_as_large_as_small_ones(self, size: tuple[int, int]) -> None:
        spec = spec_of(size, 3)
        low = pyramid_sizes(*size, 2)[0]
        network = RefiningGenerator(CAPTIONS, spec, low, 4, 1)
        images = network(torch.rand(2, 3, *low), CAPTION).images
        assert images.shape == (2, 3, *size)
        assert images.abs().max() <= 1
        halvings = sum(m.stride == (2, 2) for m in network.down if isinstance(m, torch.nn.Conv2d))
        assert halvings == min(2, max(0, min(low).bit_length() - 4))
        assert len(network.up) == halvings + 1

    def test_a_tree_has_an_image_of_each_level(self, size: tuple[int, int]) -> None:
        spec = spec_of(size)
        levels = min(3, len(pyramid_sizes(*size)))
        images, condition = TreeGenerator(CAPTIONS, spec, 5, levels, 4, 1)(torch.randn(2, 5), CAPTION)
        assert [image.shape[2:] for image in images] == pyramid_sizes(*size)[-levels:]
        assert condition.mean.shape == (2, 4)


def test_a_sketch_is_made_of_latents_and_of_the_caption() -> None:
    network = CaptionedGenerator(ImageGeneratorConfig(width=4), CAPTIONS, SPEC, 5).eval()
    with torch.no_grad():
        network.condition.map.bias[4:] = -60  # as good as no deviation
        latents = torch.randn(2, 5)
        first = network(latents, CAPTION).images
        assert torch.equal(first, network(latents, CAPTION).images)
        assert not torch.equal(first, network(latents.flip(0), CAPTION).images)
        assert not torch.equal(first, network(latents, CAPTION.flip(0)).images)
        network.condition.map.bias[4:] = 0
        assert not torch.equal(network(latents, CAPTION).images, network(latents, CAPTION).images)


def test_a_refined_image_is_made_of_the_small_one_and_of_the_caption() -> None:
    network = RefiningGenerator(CAPTIONS, SPEC, (4, 4), 4, 1).eval()
    with torch.no_grad():
        network.condition.map.bias[4:] = -60
        small = torch.rand(2, 1, 4, 4)
        first = network(small, CAPTION).images
        assert not torch.allclose(first, network(small.flip(0), CAPTION).images, atol=1e-6)
        assert not torch.allclose(first, network(small, CAPTION.flip(0)).images, atol=1e-6)


class TestTree:
    def _tree(self) -> TreeGenerator:
        tree = TreeGenerator(CAPTIONS, spec_of((16, 16)), 5, 3, 4, 1).eval()
        with torch.no_grad():
            tree.condition.map.bias[4:] = -60
        return tree

    def test_smaller_images_do_not_depend_on_larger_ones_layers_and_larger_ones_do_on_smaller_ones(self) -> None:
        tree, latents = self._tree(), torch.randn(2, 5)
        with torch.no_grad():
            before, _ = tree(latents, CAPTION)
            for parameter in tree.grow[1].parameters():
                parameter.mul_(2)
            after, _ = tree(latents, CAPTION)
            assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [True, True, False]
            for parameter in tree.root.parameters():
                parameter.mul_(2)
            last, _ = tree(latents, CAPTION)
        assert not any(torch.equal(a, b) for a, b in zip(after, last, strict=True))

    def test_the_condition_joins_at_every_size(self) -> None:
        """Without what the root knows of it, the larger images still follow it."""
        tree, latents = self._tree(), torch.randn(2, 5)
        with torch.no_grad():
            tree.root[0][0].weight[:, 5:] = 0
            one, _ = tree(latents, CAPTION)
            other, _ = tree(latents, CAPTION.flip(0))
        assert [torch.equal(a, b) for a, b in zip(one, other, strict=True)] == [True, False, False]
