from __future__ import annotations

import math

import pytest
import torch

from textgan.losses import accuracy, discriminator_loss, gradient_penalty


def test_the_discriminators_loss_is_the_cross_entropy_of_its_probabilities():
    real, fake = torch.tensor([0.3, -2.0, 50.0]), torch.tensor([1.5, -0.4])
    on_real, on_fake = discriminator_loss(real, fake)
    assert on_real.item() == pytest.approx(-real.sigmoid().log().mean().item())
    assert on_fake.item() == pytest.approx(-(1 - fake.sigmoid()).log().mean().item())
    assert sum(discriminator_loss(torch.zeros(4), torch.zeros(4))).item() == pytest.approx(2 * math.log(2))
    assert torch.isfinite(discriminator_loss(torch.tensor([-1e4]), torch.tensor([1e4]))[0])


def test_accuracy_weighs_real_and_fake_half_each():
    assert accuracy(torch.tensor([1.0, 1.0, 1.0, -1.0]), torch.tensor([-1.0])).item() == pytest.approx((0.75 + 1) / 2)


def test_the_penalty_of_a_linear_critic_is_its_slope_off_one():
    slope = torch.tensor([3.0, 4.0])
    real, fake = torch.randn(6, 2), torch.randn(6, 2)
    assert gradient_penalty(lambda x: x @ slope, real, fake).item() == pytest.approx((5 - 1) ** 2)


def test_the_penalty_takes_one_norm_a_sample():
    """f(x) = |x|^2 / 2 has slope x; with real = fake the mean of (|x| - 1)^2 is not (|all x| - 1)^2."""
    x = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    penalty = gradient_penalty(lambda x: x.square().sum(1) / 2, x, x)
    assert penalty.item() == pytest.approx(((3 - 1) ** 2 + 0) / 2)


def test_the_penalty_mixes_each_sample_with_its_own_weight():
    torch.manual_seed(0)
    seen = []
    gradient_penalty(lambda x: seen.append(x.detach()) or x.sum(1), torch.zeros(100, 3), torch.ones(100, 3))
    assert torch.equal(seen[0][:, 0], seen[0][:, 1])
    assert seen[0][:, 0].unique().numel() > 90


def test_the_penalty_is_float32_under_autocast_and_differentiable():
    critic = torch.nn.Linear(2, 1)
    with torch.autocast("cpu", torch.bfloat16):
        penalty = gradient_penalty(critic, torch.randn(4, 2), torch.randn(4, 2))
    assert penalty.dtype == torch.float32
    penalty.backward()
    norm = critic.weight.detach().norm()
    torch.testing.assert_close(critic.weight.grad, 2 * (norm - 1) * critic.weight.detach() / norm)
