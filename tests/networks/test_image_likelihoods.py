"""Densities of images."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Bernoulli, Normal

from textgan.networks.image_likelihoods import ImageLikelihood
from textgan.reproducibility import seed_everything


def _raw_and_images() -> tuple[torch.Tensor, torch.Tensor]:
    seed_everything(0)
    return torch.randn(4, 2, 3, 3), torch.rand(4, 2, 3, 3) * 2 - 1


def test_gaussian_is_the_density_of_normal_numbers():
    raw, images = _raw_and_images()
    likelihood = ImageLikelihood("gaussian")
    with torch.no_grad():
        likelihood.log_deviation.fill_(-0.7)
    by_hand = -Normal(raw.tanh(), torch.tensor(-0.7).exp()).log_prob(images).sum((1, 2, 3))
    torch.testing.assert_close(likelihood(raw, images), by_hand)


def test_the_deviation_rests_where_it_is_the_error():
    raw, images = _raw_and_images()
    likelihood = ImageLikelihood("gaussian")
    error = (images - raw.tanh()).square().mean()
    for deviation, sign in ((error.sqrt() / 2, -1), (error.sqrt(), 0), (error.sqrt() * 2, 1)):
        with torch.no_grad():
            likelihood.log_deviation.copy_(deviation.log())
        (slope,) = torch.autograd.grad(likelihood(raw, images).mean(), likelihood.log_deviation)
        assert slope.item() == pytest.approx(0, abs=1e-4) if sign == 0 else slope.item() * sign > 1


def test_bernoulli_is_the_probability_of_black_and_white():
    raw, images = _raw_and_images()
    images = images.sign()
    by_hand = -Bernoulli((1 + raw.tanh()) / 2).log_prob((1 + images) / 2).sum((1, 2, 3))
    torch.testing.assert_close(ImageLikelihood("bernoulli")(raw, images), by_hand)


def test_bernoulli_is_least_where_the_decoder_says_the_image_itself():
    _, images = _raw_and_images()
    raw = images.atanh().requires_grad_(True)
    (slope,) = torch.autograd.grad(ImageLikelihood("bernoulli")(raw, images).sum(), raw)
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-5, rtol=0)


def test_bernoulli_is_finite_where_the_decoder_is_sure_and_wrong():
    raw = torch.full((1, 1, 2, 2), 60.0)
    assert ImageLikelihood("bernoulli")(raw, torch.full_like(raw, -1)).item() == pytest.approx(4 * 120)
