"""From vectors to images of any size."""

from __future__ import annotations

import pytest
import torch

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.networks.image_blocks import sides
from textgan.networks.image_generators import ImageGenerator, ImageGeneratorConfig

OBLONG = [(3, 7, 6), (1, 5, 33), (3, 20, 9), (1, 33, 8), (2, 1, 4)]
SHAPES = [*((1 + size % 3, size, size) for size in range(5, 34)), *OBLONG]


def _spec(channels: int, height: int, width: int) -> ImageSpec:
    return ImageSpec(channels, height, width, train_size=10)


@pytest.mark.parametrize("kind", ["mlp", "conv", "resnet"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_kind_makes_images_of_any_size(kind, shape):
    generator = ImageGenerator(ImageGeneratorConfig(kind=kind, width=2), _spec(*shape), inputs=3)
    images = generator(torch.randn(2, 3))
    assert images.shape == (2, *shape)
    assert images.abs().max() <= 1


@pytest.mark.parametrize("kind", ["mlp", "conv", "resnet"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 6), (1, 13, 33)], ids=str)
def test_every_pixel_depends_on_the_latents_and_every_parameter_matters(kind, shape):
    """No border is left out by the cut."""
    torch.manual_seed(0)
    generator = ImageGenerator(ImageGeneratorConfig(kind=kind, width=4, init_std=0.2), _spec(*shape), inputs=5)
    images = generator(torch.randn(16, 5))
    assert (images.var(0) > 0).all()
    images.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in generator.parameters())


def test_maps_double_from_the_smallest_and_channels_halve():
    generator = ImageGenerator(ImageGeneratorConfig(width=4), _spec(1, 28, 28), inputs=3)
    seen = []
    for block in generator.body.blocks:
        block.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
    generator(torch.randn(2, 3))
    assert seen == [(16, 8, 8), (8, 16, 16), (4, 32, 32)]
    assert generator.body.start == (4, 4)
    assert len(seen) == len(sides(28)) - 1


def test_the_cut_is_in_the_middle():
    """28 out of 32: two pixels less on every side."""
    torch.manual_seed(0)
    generator = ImageGenerator(ImageGeneratorConfig(width=2), _spec(1, 28, 28), inputs=3)
    whole = []
    generator.body.last.register_forward_hook(lambda module, inputs, output: whole.append(output))
    images = generator(torch.randn(2, 3))
    assert torch.equal(images, whole[0][:, :, 2:30, 2:30].tanh())


@pytest.mark.parametrize("name", ["none", "batch", "instance", "layer"])
@pytest.mark.parametrize("kind", ["conv", "resnet"])
def test_only_batch_norm_ties_the_images_of_a_batch(kind, name):
    torch.manual_seed(0)
    generator = ImageGenerator(ImageGeneratorConfig(kind=kind, width=4, norm=name), _spec(1, 8, 8), inputs=3)
    latents = torch.randn(6, 3)
    alone, together = generator(latents[:2]), generator(latents)[:2]
    assert torch.allclose(alone, together, atol=1e-6) == (name != "batch")
    generator.eval()
    torch.testing.assert_close(generator(latents[:2]), generator(latents)[:2])


def test_convolutions_begin_with_the_deviation_that_is_asked_for():
    torch.manual_seed(0)
    generator = ImageGenerator(ImageGeneratorConfig(width=32, init_std=0.05), _spec(1, 8, 8), inputs=64)
    assert generator.body.first.weight.std().item() == pytest.approx(0.05, rel=0.05)
    assert generator.body.blocks[0][0].weight.std().item() == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize("field", ["width", "layers", "init_std"])
def test_a_number_that_cannot_be_is_refused(field):
    with pytest.raises(UserError, match=f"generator.{field} is 0"):
        ImageGeneratorConfig(**{field: 0 if field != "init_std" else 0.0})
