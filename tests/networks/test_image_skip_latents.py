"""BigGAN's generator: who is told what, and what keeps its filters apart."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.networks.image_blocks import with_spectral_norm
from textgan.networks.image_conditioning import ConditionalBatchNorm
from textgan.networks.image_skip_latents import SkipLatentGenerator, draw_orthogonal, orthogonal_penalty

CATEGORY = torch.tensor([2, 0, 1, 2])


def _spec(*shape: int) -> ImageSpec:
    return ImageSpec(*shape, train_size=10, categories=("a", "b", "c"))


def _network(*shape: int, latent: int = 9, spectral: bool = False) -> SkipLatentGenerator:
    torch.manual_seed(0)
    return SkipLatentGenerator(_spec(*shape), latent, width=4, embedding=5, spectral=spectral)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 6), (1, 13, 33), (2, 1, 4), (3, 32, 32)], ids=str)
def test_it_makes_images_of_any_size(shape):
    images = _network(*shape)(torch.randn(4, 9), CATEGORY)
    assert images.shape == (4, *shape)
    assert images.abs().max() <= 1


@pytest.mark.parametrize(("size", "latent", "parts"), [(8, 9, [5, 4]), (32, 9, [3, 2, 2, 2]), (4, 9, [9])])
def test_the_latent_vector_is_cut_into_a_part_a_layer(size, latent, parts):
    network = _network(1, size, size, latent=latent)
    assert network.parts == parts
    assert sum(parts) == latent
    assert network.first.in_features == parts[0]


def test_each_block_is_told_the_category_and_its_own_part():
    """Every conditional norm of a block has the shared vector and that block's numbers, in this order."""
    network, latents = _network(1, 32, 32), torch.randn(4, 9)
    told = {}
    for i, block in enumerate(network.blocks):
        for norm in block.norms:
            assert isinstance(norm, ConditionalBatchNorm)
            norm.register_forward_hook(lambda module, inputs, output, i=i: told.setdefault(i, []).append(inputs[1]))
    first = []
    network.first.register_forward_hook(lambda module, inputs, output: first.append(inputs[0]))
    network(latents, CATEGORY)
    assert torch.equal(first[0], latents[:, :3])
    for i in range(3):
        expected = torch.cat([network.table(CATEGORY), latents[:, 3 + 2 * i : 5 + 2 * i]], 1)
        assert len(told[i]) == 2
        for found in told[i]:
            assert torch.equal(found, expected)


def test_a_category_weighs_as_much_as_latent_numbers_at_first():
    table = SkipLatentGenerator(_spec(1, 8, 8), 9, width=4, embedding=4000, spectral=False).table
    torch.testing.assert_close(table.weight.std(1), torch.ones(3), atol=0.05, rtol=0)


def test_a_category_that_differs_changes_its_own_image_alone():
    network, latents = _network(1, 8, 8).eval(), torch.randn(4, 9)
    images, others = network(latents, CATEGORY), network(latents, torch.tensor([2, 0, 1, 0]))
    torch.testing.assert_close(images[:3], others[:3])
    assert (images[3] - others[3]).abs().max() > 1e-3


def test_too_few_latent_numbers_are_refused():
    with pytest.raises(UserError, match=r"game\.latent is 3; it must be at least 4"):
        _network(1, 32, 32, latent=3)


def test_every_parameter_matters():
    network = _network(3, 7, 6, spectral=True)
    network(torch.randn(16, 9), torch.arange(16) % 3).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())


def test_spectral_norm_is_of_every_map_and_leaves_the_shared_vectors_alone():
    network = _network(1, 8, 8, spectral=True)
    maps = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert all(hasattr(m, "parametrizations") for m in maps)
    assert len(maps) == 2 * 2 + 2 + 1 + 2  # gains and biases, convolutions, shortcut, first and last
    assert not hasattr(network.table, "parametrizations")


@pytest.mark.parametrize("spectral", [False, True])
def test_initial_weights_are_orthogonal(spectral):
    module = nn.Sequential(nn.Linear(6, 4), nn.Linear(3, 7), nn.Conv2d(2, 5, 3))
    if spectral:
        with_spectral_norm(module)
    draw_orthogonal(module)
    for child in module:
        original = child.parametrizations.weight.original if hasattr(child, "parametrizations") else child.weight
        rows = original.flatten(1)
        products = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
        torch.testing.assert_close(products, torch.eye(len(products)), atol=1e-5, rtol=0)


def test_the_penalty_is_the_sum_of_squared_products_of_different_filters():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 4), nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Embedding(3, 2))
    expected = torch.zeros(())
    for weight in (module[0].weight, module[1].weight.reshape(3, 8)):
        for i in range(len(weight)):
            for j in range(len(weight)):
                if i != j:
                    expected = expected + (weight[i] * weight[j]).sum() ** 2
    torch.testing.assert_close(orthogonal_penalty(module), expected)


def test_the_penalty_lets_lengths_be_and_has_a_slope_towards_right_angles():
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 0.5]]))
    assert orthogonal_penalty(layer).item() == 0
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.0], [0.5, 1.0]]))
    orthogonal_penalty(layer).backward()
    torch.testing.assert_close(layer.weight.grad, torch.tensor([[1.0, 2.0], [2.0, 0.0]]))  # 4 (a.b) b and 4 (a.b) a


def test_the_penalty_is_of_what_an_optimiser_moves():
    torch.manual_seed(0)
    plain = nn.Linear(4, 3)
    expected = orthogonal_penalty(plain).item()
    assert orthogonal_penalty(with_spectral_norm(plain)).item() == pytest.approx(expected)
