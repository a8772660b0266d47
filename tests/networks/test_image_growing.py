from __future__ import annotations

import pytest
import torch

from textgan.data.images.spec import ImageSpec
from textgan.networks.image_growing import GrowingDiscriminator, GrowingGenerator, place_of, shown, widths_of
from textgan.networks.image_pyramid import double, halve

SPEC = ImageSpec(channels=2, height=14, width=11, train_size=10)
SIZES = [(4, 3), (7, 6), (14, 11)]
LEAST = 1e-7
"""A growth that has hardly begun: the layers are there, and weigh nothing."""


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return GrowingGenerator(SPEC, latent=5, width=4, most=8)


@pytest.fixture
def discriminator():
    torch.manual_seed(0)
    return GrowingDiscriminator(SPEC, width=4, most=8)


@pytest.mark.parametrize(
    ("growth", "expected"), [(0.0, (0, 1.0)), (0.25, (1, 0.25)), (1.0, (1, 1.0)), (1.5, (2, 0.5)), (2.0, (2, 1.0))]
)
def test_growth_is_a_level_and_the_share_of_its_layers(growth, expected):
    assert place_of(growth) == expected


def test_maps_double_in_number_where_their_size_halves():
    assert widths_of(4, 8, 40) == [40, 32, 16, 8]


@pytest.mark.parametrize("level", [1, 2])
def test_where_fading_begins_the_generator_is_the_smaller_one(generator, level):
    z = torch.randn(3, 5)
    before = generator(z, level - 1.0)
    assert before.shape[2:] == SIZES[level - 1]
    torch.testing.assert_close(generator(z, level - 1 + LEAST), double(before, SIZES[level]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("level", [1, 2])
def test_where_it_ends_the_generator_is_the_larger_one(generator, level):
    z = torch.randn(3, 5)
    torch.testing.assert_close(generator(z, level - LEAST), generator(z, float(level)), rtol=1e-4, atol=1e-5)
    assert (generator(z, float(level)) - double(generator(z, level - 1.0), SIZES[level])).abs().max() > 0.1


def test_between_its_images_are_mixed(generator):
    z = torch.randn(3, 5)
    small, large = double(generator(z, 0.0), SIZES[1]), generator(z, 1.0)
    torch.testing.assert_close(generator(z, 0.25), 0.75 * small + 0.25 * large)


@pytest.mark.parametrize("level", [1, 2])
def test_where_fading_begins_the_discriminator_is_the_smaller_one(discriminator, level):
    """It halves what it sees, so any image of the larger size will do."""
    images = torch.randn(6, 2, *SIZES[level])
    expected = discriminator(halve(images), level - 1.0)
    torch.testing.assert_close(discriminator(images, level - 1 + LEAST), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("level", [1, 2])
def test_where_it_ends_the_discriminator_is_the_larger_one(discriminator, level):
    images = torch.randn(6, 2, *SIZES[level])
    expected = discriminator(images, float(level))
    torch.testing.assert_close(discriminator(images, level - LEAST), expected, rtol=1e-4, atol=1e-5)
    assert (expected - discriminator(halve(images), level - 1.0)).abs().max() > 0.01


def test_real_images_are_shrunk_and_faded_as_fakes_are():
    images = torch.randn(3, 2, 14, 11)
    torch.testing.assert_close(shown(images, 2.0, 3), images)
    torch.testing.assert_close(shown(images, 0.0, 3), halve(images, 2))
    small = halve(images)
    torch.testing.assert_close(shown(images, 1.0, 3), small)
    torch.testing.assert_close(shown(images, 0.25, 3), 0.75 * double(halve(small), (7, 6)) + 0.25 * small)


def test_the_discriminator_sees_that_a_batch_is_all_alike(discriminator):
    images = torch.randn(6, 2, 14, 11)
    alike = images[:1].expand(6, -1, -1, -1)
    assert (discriminator(images, 2.0)[0] - discriminator(alike, 2.0)[0]).abs() > 1e-4
