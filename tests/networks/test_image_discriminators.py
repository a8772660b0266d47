"""From images of any size to scores."""

from __future__ import annotations

import pytest
import torch

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig

OBLONG = [(3, 7, 6), (1, 5, 33), (3, 20, 9), (1, 33, 8), (2, 1, 4)]
SHAPES = [*((1 + size % 3, size, size) for size in range(5, 34)), *OBLONG]
KINDS = ["mlp", "conv", "resnet"]


def _spec(channels: int, height: int, width: int) -> ImageSpec:
    return ImageSpec(channels, height, width, train_size=10)


def _network(shape: tuple[int, int, int] = (1, 8, 8), **changes: object) -> ImageDiscriminator:
    torch.manual_seed(0)
    return ImageDiscriminator(ImageDiscriminatorConfig(**{"width": 4, "init_std": 0.2, **changes}), _spec(*shape))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_kind_takes_images_of_any_size(kind, shape):
    network = _network(shape, kind=kind, width=2)
    images = torch.randn(3, *shape)
    assert network(images).shape == (3,)
    assert network.features(images).shape == (3, network.size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 6), (1, 13, 33)], ids=str)
def test_every_pixel_counts_and_every_parameter_matters(kind, shape):
    network = _network(shape, kind=kind)
    images = torch.randn(16, *shape, requires_grad=True)
    network(images).square().sum().backward()
    assert (images.grad.abs().sum(0) > 0).all()
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("kind", ["conv", "resnet"])
def test_maps_halve_rounding_up_to_the_smallest(kind):
    network = _network((1, 28, 13), kind=kind)
    seen = []
    for block in network.body[1:-1]:
        block.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
    network(torch.randn(2, 1, 28, 13))
    assert seen == [(8, 14, 7), (16, 7, 4), (32, 4, 2)]


def test_several_outputs_more_maps_and_no_bias():
    network = ImageDiscriminator(ImageDiscriminatorConfig(width=4), _spec(1, 8, 8), outputs=5, extra=2, bias=False)
    images = torch.randn(3, 3, 8, 8)
    assert network(images).shape == (3, 5)
    assert network.output.bias is None
    torch.testing.assert_close(network(images), network.features(images) @ network.output.weight.T)
    torch.testing.assert_close(network.judge(network.features(images)), network(images))


@pytest.mark.parametrize("kind", KINDS)
def test_spectral_normalisation_makes_every_layers_largest_singular_value_one(kind):
    network = _network(kind=kind, spectral=True)
    images = torch.randn(4, 1, 8, 8)
    for _ in range(150):  # a power iteration each
        network(images)
    network.eval()
    layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) >= 3
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-2)
    assert not any(hasattr(layer, "parametrizations") for layer in _network(kind=kind).modules())


def test_a_batch_can_be_compared_by_its_deviation():
    """Images that are all alike are told apart from the same images among others."""
    network = _network(kind="mlp", minibatch="deviation")
    images = torch.randn(6, 1, 8, 8)
    features = network.features(images)
    deviation = (features.var(0, correction=0) + 1e-8).sqrt().mean()
    weight, bias = network.output.weight[0], network.output.bias
    torch.testing.assert_close(network(images), features @ weight[:-1] + deviation * weight[-1] + bias)
    alike = images[:1].expand(6, 1, 8, 8)
    assert not torch.allclose(network(images)[0], network(alike)[0], atol=1e-4)


def test_a_batch_can_be_compared_by_learned_distances():
    network = _network(kind="mlp", minibatch="discrimination")
    images = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        network.compare.map.weight.mul_(0.1)
    features = network.features(images)
    rows = network.compare.map(features).view(5, *network.compare.shape)
    close = torch.stack([sum((-(rows[i] - rows[j]).abs().sum(1)).exp() for j in range(5) if j != i) for i in range(5)])
    torch.testing.assert_close(network(images), network.output(torch.cat([features, close], 1)).squeeze(1))
    assert close.std() > 1e-3


@pytest.mark.parametrize("changes", [{}, {"norm": "layer"}, {"norm": "instance"}, {"spectral": True}], ids=str)
@pytest.mark.parametrize("kind", ["conv", "resnet"])
def test_without_batch_norm_or_comparison_an_images_score_is_its_own(kind, changes):
    network = _network(kind=kind, **changes)
    images = torch.randn(6, 1, 8, 8)
    network(images)
    network.eval()  # spectral norm does not iterate
    torch.testing.assert_close(network(images)[:2], network(images[:2]))


def test_with_batch_norm_it_depends_on_the_batch_while_training():
    network = _network(norm="batch")
    images = torch.randn(6, 1, 8, 8)
    assert not torch.allclose(network(images)[:2], network(images[:2]), atol=1e-4)
    assert network.training


def test_building_it_leaves_no_trace_in_running_statistics():
    """The size of the features is found by an image of zeros."""
    network = _network(norm="batch")
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == 1
    assert all(norm.num_batches_tracked == 0 and norm.running_mean.abs().max() == 0 for norm in norms)


def test_dropout_drops_features_while_training_alone():
    network = _network(kind="mlp", dropout=0.5)
    images = torch.randn(4, 1, 8, 8)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


def test_convolutions_begin_with_the_deviation_that_is_asked_for():
    network = _network(width=32, init_std=0.05)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 2
    for layer in convolutions:
        assert layer.weight.std().item() == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize(("field", "value"), [("width", 0), ("layers", 0), ("dropout", 1.0)])
def test_a_number_that_cannot_be_is_refused(field, value):
    with pytest.raises(UserError, match=f"discriminator.{field} is"):
        ImageDiscriminatorConfig(**{field: value})
