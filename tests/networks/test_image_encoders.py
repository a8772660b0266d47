"""Codes of images and their distributions."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_encoders import GaussianEncoder, ImageAutoencoder, ImageEncoder, Posterior
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 8, 8, train_size=40, categories=("a", "b", "c"))
CONFIG = ImageDiscriminatorConfig(width=8)


def test_the_divergence_is_that_of_two_gaussians():
    seed_everything(0)
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    q = Independent(Normal(mean, (log_variance / 2).exp()), 1)
    p = Independent(Normal(torch.zeros(5, 3), torch.ones(5, 3)), 1)
    torch.testing.assert_close(Posterior(mean, log_variance).divergence(), kl_divergence(q, p))
    assert Posterior(torch.zeros(2, 3), torch.zeros(2, 3)).divergence().tolist() == [0, 0]


def test_draws_have_the_mean_and_the_deviation_and_their_gradient_reaches_both():
    """E z^2 = mean^2 + variance has the gradient 2 mean, and variance with regard to the log variance."""
    seed_everything(0)
    n = 200_000
    mean = torch.tensor([1.0, -2.0], requires_grad=True)
    log_variance = torch.tensor([0.5, -1.0], requires_grad=True)
    z = Posterior(mean.expand(n, 2), log_variance.expand(n, 2)).draw()
    torch.testing.assert_close(z.detach().mean(0), mean.detach(), atol=0.02, rtol=0)
    torch.testing.assert_close(z.detach().var(0), log_variance.detach().exp(), atol=0.03, rtol=0)
    z.square().mean(0).sum().backward()
    torch.testing.assert_close(mean.grad, 2 * mean.detach(), atol=0.03, rtol=0)
    torch.testing.assert_close(log_variance.grad, log_variance.detach().exp(), atol=0.03, rtol=0)


def test_the_encoder_is_told_the_category_of_each_image():
    seed_everything(0)
    encoder = ImageEncoder(CONFIG, SPEC, 4, categories=3)
    images, category = torch.randn(3, 1, 8, 8), torch.tensor([0, 1, 2])
    codes = encoder(images, category)
    moved = torch.tensor([2, 0, 1])
    torch.testing.assert_close(encoder(images[moved], category[moved]), codes[moved])
    assert not torch.allclose(encoder(images, category[moved]), codes)


def test_a_code_of_one_number_is_a_column():
    assert ImageEncoder(CONFIG, SPEC, 1)(torch.zeros(5, 1, 8, 8)).shape == (5, 1)


def test_mean_and_deviation_are_different_numbers():
    seed_everything(0)
    posterior = GaussianEncoder(CONFIG, SPEC, 4)(torch.randn(5, 1, 8, 8))
    assert posterior.mean.shape == posterior.log_variance.shape == (5, 4)
    assert not torch.allclose(posterior.mean, posterior.log_variance)


def test_an_autoencoder_sees_an_image_through_its_code_alone():
    seed_everything(0)
    network = ImageAutoencoder(CONFIG, ImageGeneratorConfig(width=8, norm="none"), SPEC, 4)
    images = torch.rand(5, 1, 8, 8) * 2 - 1
    again, codes = network(images)
    torch.testing.assert_close(again, network.decoder(codes))
    torch.testing.assert_close(codes, network.encoder(images))


def test_a_code_of_a_whole_batch_is_refused():
    with pytest.raises(UserError, match="minibatch is 'deviation'"):
        ImageEncoder(ImageDiscriminatorConfig(width=8, minibatch="deviation"), SPEC, 4)
