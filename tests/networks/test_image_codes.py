"""A score and codes from the same features."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from textgan.data.images.spec import ImageSpec
from textgan.networks.image_codes import CodeReader
from textgan.networks.image_discriminators import ImageDiscriminatorConfig

SPEC = ImageSpec(3, 7, 6, train_size=10)


def test_the_score_comes_first_and_codes_are_read_off_the_same_features():
    torch.manual_seed(0)
    network = CodeReader(ImageDiscriminatorConfig(width=4, init_std=0.2), SPEC, outputs=5, hidden=8)
    images = torch.randn(4, *SPEC.shape)
    said = network(images)
    assert said.shape == (4, 6)
    torch.testing.assert_close(said[:, 0], network.body(images))
    first, last = network.read[0], network.read[2]
    hidden = F.leaky_relu(network.body.features(images) @ first.weight.T + first.bias, 0.2)
    torch.testing.assert_close(said[:, 1:], hidden @ last.weight.T + last.bias)


def test_what_reads_codes_moves_the_features_of_the_score():
    torch.manual_seed(0)
    network = CodeReader(ImageDiscriminatorConfig(width=4), SPEC, outputs=5, hidden=8, bias=False)
    network(torch.randn(4, *SPEC.shape))[:, 1:].square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in network.body.body.parameters())
    assert network.body.output.weight.grad.abs().sum() == 0
    assert network.body.output.bias is None


def test_spectral_norm_is_of_what_reads_codes_too():
    network = CodeReader(ImageDiscriminatorConfig(width=4, spectral=True), SPEC, outputs=5, hidden=8)
    assert all(hasattr(network.read[i], "parametrizations") for i in (0, 2))
