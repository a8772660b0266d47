"""How a category joins a generator and a discriminator, number by number."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from textgan.data.images.spec import ImageSpec
from textgan.networks.image_conditioning import (
    ConditionalBatchNorm,
    Join,
    JoinedDiscriminator,
    JoinedGenerator,
    ProjectionDiscriminator,
    hidden_layer,
)
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig

SPEC = ImageSpec(3, 7, 6, train_size=10, categories=("a", "b", "c"))
KINDS = ["embedding", "product", "concatenation"]
CATEGORY = torch.tensor([2, 0, 1, 2])
SMALL = ImageDiscriminatorConfig(width=4, init_std=0.2)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_an_embedding_stands_beside_the_vector():
    join, x = Join("embedding", 5, 3), torch.randn(4, 5)
    for row, vector, k in zip(join(x, CATEGORY), x, CATEGORY, strict=True):
        torch.testing.assert_close(row, torch.cat([vector, join.table.weight[k]]))


def test_a_product_is_number_by_number():
    join, x = Join("product", 5, 3), torch.randn(4, 5)
    expected = [torch.stack([x[i, j] * join.table.weight[k, j] for j in range(5)]) for i, k in enumerate(CATEGORY)]
    torch.testing.assert_close(join(x, CATEGORY), torch.stack(expected))


def test_a_concatenation_is_one_hot_of_the_vectors_length():
    join, x = Join("concatenation", 4, 3), torch.randn(4, 4)
    assert join(x, CATEGORY)[:, 4:].tolist() == [[0, 0, 2], [2, 0, 0], [0, 2, 0], [0, 0, 2]]
    assert torch.equal(join(x, CATEGORY)[:, :4], x)
    assert not list(join.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_of_what_is_joined_is_known(kind):
    join = Join(kind, 5, 3)
    assert join(torch.randn(4, 5), CATEGORY).shape == (4, join.size)


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_depends_on_its_own_category_and_on_no_other(kind):
    network = JoinedGenerator(ImageGeneratorConfig(width=4, norm="none", init_std=0.3), SPEC, 5, kind)
    latents = torch.randn(4, 5)
    images, others = network(latents, CATEGORY), network(latents, torch.tensor([2, 0, 1, 1]))
    assert images.shape == (4, *SPEC.shape)
    torch.testing.assert_close(images[:3], others[:3])
    assert (images[3] - others[3]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_a_generator_is_its_body_on_what_is_joined(kind):
    network = JoinedGenerator(ImageGeneratorConfig(width=4, norm="none", init_std=0.3), SPEC, 5, kind)
    latents = torch.randn(4, 5)
    vector = latents
    if kind == "product":
        vector = F.leaky_relu(F.linear(latents, network.hidden[0].weight), 0.2)
    torch.testing.assert_close(network(latents, CATEGORY), network.body(network.join(vector, CATEGORY)))


def test_a_product_without_a_hidden_layer_would_not_know_a_sign_which_the_generator_does():
    """Categories of opposite vectors: of z * e and z * -e the one is as likely as the other, and images differ."""
    network = JoinedGenerator(ImageGeneratorConfig(width=4, norm="none", init_std=0.3), SPEC, 5, "product")
    with torch.no_grad():
        network.join.table.weight[1] = -network.join.table.weight[0]
    latents = torch.randn(4000, 5)
    means = [network(latents, torch.full((4000,), k)).mean(0) for k in (0, 1)]
    assert (means[0] - means[1]).abs().max() > 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_a_discriminator_is_what_it_says_layer_by_layer(kind):
    network = JoinedDiscriminator(SMALL, SPEC, kind)
    images = torch.randn(4, *SPEC.shape)
    features = network.body.features(images)
    hidden = F.leaky_relu(F.linear(features, network.body.output.weight, network.body.output.bias), 0.2)
    both = F.leaky_relu(F.linear(network.join(hidden, CATEGORY), network.both[0].weight, network.both[0].bias), 0.2)
    torch.testing.assert_close(network(images, CATEGORY), both @ network.output.weight[0] + network.output.bias)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_discriminator_thinks_of_a_category_depends_on_the_image(kind):
    """Otherwise a category would only shift its scores, and no generator could learn from that."""
    network = JoinedDiscriminator(SMALL, SPEC, kind)
    images = torch.randn(4, *SPEC.shape)
    scores = torch.stack([network(images, torch.full((4,), k)) for k in range(3)])
    shift = scores[1] - scores[0]
    assert (shift - shift.mean()).abs().max() > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_matters_and_a_level_that_is_not_seen_is_not_there(kind):
    network = JoinedDiscriminator(SMALL, SPEC, kind, bias=False)
    network(torch.randn(16, *SPEC.shape), torch.arange(16) % 3).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())
    assert network.output.bias is None


def test_spectral_norm_is_of_every_layer_and_once():
    network = JoinedDiscriminator(ImageDiscriminatorConfig(width=4, spectral=True), SPEC).eval()
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert [len(layer.parametrizations.weight) for layer in layers] == [1] * len(layers)
    for layer in (network.both[0], network.output):
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=0.05)


def test_a_hidden_layer_keeps_the_size_of_numbers():
    layer = hidden_layer(nn.Linear(400, 400))
    assert layer(torch.randn(1000, 400)).square().mean().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("spectral", [False, True])
def test_a_projection_is_the_output_plus_the_inner_product(spectral):
    config = ImageDiscriminatorConfig(width=4, init_std=0.2, spectral=spectral)
    network = ProjectionDiscriminator(config, SPEC).eval()
    images = torch.randn(4, *SPEC.shape)
    for i, k in enumerate(CATEGORY):
        phi = network.body.body(images[i : i + 1])[0]
        psi = network.body.output.weight[0] @ phi + network.body.output.bias[0]
        expected = psi + sum(v * f for v, f in zip(network.table.weight[k], phi, strict=True))
        torch.testing.assert_close(network(images, CATEGORY)[i], expected, rtol=1e-4, atol=1e-5)


def test_the_projections_vectors_are_under_spectral_norm_where_the_network_is():
    network = ProjectionDiscriminator(ImageDiscriminatorConfig(width=4, spectral=True), SPEC).eval()
    with torch.no_grad():
        network.table.parametrizations.weight.original.mul_(50)
    network.train()
    for _ in range(30):
        network.table(CATEGORY)
    assert torch.linalg.matrix_norm(network.eval().table.weight, 2).item() == pytest.approx(1, abs=1e-3)


def test_a_conditional_batch_norm_is_that_of_a_loop():
    layer = ConditionalBatchNorm(3, 4)
    maps, condition = torch.randn(5, 3, 2, 6) * 3 + 1, torch.randn(5, 4)
    found = layer(maps, condition)
    for c in range(3):
        mean, deviation = maps[:, c].mean(), (maps[:, c].var(correction=0) + 1e-5).sqrt()
        for i in range(5):
            gain = 1 + sum(layer.gain.weight[c, j] * condition[i, j] for j in range(4))
            bias = sum(layer.bias.weight[c, j] * condition[i, j] for j in range(4))
            torch.testing.assert_close(found[i, c], gain * (maps[i, c] - mean) / deviation + bias)


def test_a_conditional_batch_norm_uses_running_statistics_when_it_does_not_learn():
    layer = ConditionalBatchNorm(2, 3)
    maps, condition = torch.randn(64, 2, 4, 4) * 2 + 3, torch.zeros(64, 3)
    for _ in range(100):
        layer(maps, condition)
    layer.eval()
    alone = layer(maps[:1], condition[:1])
    expected = (maps[:1] - maps.mean((0, 2, 3))[:, None, None]) / maps.std((0, 2, 3))[:, None, None]
    torch.testing.assert_close(alone, expected, rtol=1e-2, atol=1e-2)
