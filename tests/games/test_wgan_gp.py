"""What makes WGAN-GP itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from textgan.config import parse_train_command
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.wgan_gp import TINY, WGANGP, Config
from textgan.losses import gradient_penalty
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.parts.referee import Referee, TricksConfig
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(channels=1, height=8, width=8, train_size=40)
START = Turn("adversarial", 0, 0.0)


def _game(**changes: object) -> WGANGP:
    seed_everything(0)
    return WGANGP(dataclasses.replace(TINY, **changes), SPEC)


def _by_a_loop(critic: nn.Module, real: Tensor, fake: Tensor, weights: Tensor) -> Tensor:
    """Each image alone, by itself through the critic."""
    found = []
    for one, other, weight in zip(real, fake, weights, strict=True):
        between = (weight * one + (1 - weight) * other)[None].requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(between)[0], between, create_graph=True)
        found.append((slope.square().sum().sqrt() - 1) ** 2)
    return sum(found) / len(found)


@pytest.mark.parametrize("norm", ["none", "layer", "instance"])
def test_the_penalty_and_its_gradient_are_those_of_a_loop_over_images(norm):
    game = _game(discriminator=ImageDiscriminatorConfig(width=4, norm=norm, init_std=0.3))
    real, fake = torch.rand(5, *SPEC.shape) * 2 - 1, torch.rand(5, *SPEC.shape) * 2 - 1
    seed_everything(1)
    found = game.penalties(real, fake)["penalty"]
    seed_everything(1)
    expected = 10 * _by_a_loop(game.discriminator, real, fake, torch.rand(5, 1, 1, 1))
    torch.testing.assert_close(found, expected)
    parameters = [p for name, p in game.discriminator.named_parameters() if "output.bias" not in name]
    for one, other in zip(
        *(torch.autograd.grad(x, parameters, allow_unused=True) for x in (found, expected)), strict=True
    ):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_it_is_one_loss_of_three_terms_whose_gradients_add_up():
    game = _game(penalty=7.0)
    real = torch.rand(6, *SPEC.shape) * 2 - 1
    seed_everything(1)
    loss = game.discriminator_loss(real, START)
    assert list(loss.terms) == ["real", "fake", "penalty"]
    parameters = list(game.discriminator.parameters())
    whole = torch.autograd.grad(sum(loss.terms.values()), parameters, retain_graph=True)
    parts = [torch.autograd.grad(x, parameters, allow_unused=True, retain_graph=True) for x in loss.terms.values()]
    for index, gradient in enumerate(whole):
        summed = sum(torch.zeros_like(gradient) if part[index] is None else part[index] for part in parts)
        torch.testing.assert_close(gradient, summed)
    seed_everything(1)
    fake = game.sample(6).detach()
    torch.testing.assert_close(loss.terms["penalty"], 7 * gradient_penalty(game.discriminator, real, fake))
    torch.testing.assert_close(loss.terms["real"], -game.discriminator(real).mean())
    torch.testing.assert_close(loss.terms["fake"], game.discriminator(fake).mean())


def test_the_generators_loss_has_no_penalty():
    game = _game()
    loss = game.generator_loss(torch.rand(6, *SPEC.shape), START)
    assert list(loss.terms) == ["adversarial"]


def test_the_critic_has_no_last_bias_and_five_steps():
    config = Config()
    game = WGANGP(config, SPEC)
    assert game.discriminator.output.bias is None
    assert [move.times for move in game.stages()[0].moves] == [5, 1]
    for optimizer in game.optimizers().values():
        assert optimizer.param_groups[0]["betas"] == (0.0, 0.9)


@pytest.mark.slow
@pytest.mark.parametrize(("dimensions", "shift"), [(1, 2.0), (2, 1.0)])
def test_the_trained_critic_estimates_the_wasserstein_distance_of_two_gaussians(dimensions, shift):
    """That of N(0, I) from N(mu, I) is |mu|; the best critic is linear between them, of slope 1."""
    torch.manual_seed(0)
    mean = torch.full((dimensions,), shift / dimensions**0.5)
    critic = nn.Sequential(nn.Linear(dimensions, 32), nn.Softplus(), nn.Linear(32, 32), nn.Softplus(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(critic.parameters(), lr=3e-3, betas=(0.0, 0.9))
    referee = Referee("wasserstein", TricksConfig())
    for _ in range(600):
        real, fake = torch.randn(128, dimensions) + mean, torch.randn(128, dimensions)
        loss = referee.discriminator(critic, real, fake, START)
        optimizer.zero_grad()
        (sum(loss.terms.values()) + 10 * gradient_penalty(critic, real, fake)).backward()
        optimizer.step()
    found = referee.discriminator(
        critic, torch.randn(20_000, dimensions) + mean, torch.randn(20_000, dimensions), START
    )
    assert found.info["value"].item() == pytest.approx(shift, rel=0.1)


def test_a_penalty_on_top_of_batch_norm_is_refused():
    with pytest.raises(UserError, match=r"discriminator.norm is 'batch'.*none, instance or layer"):
        dataclasses.replace(TINY, discriminator=ImageDiscriminatorConfig(norm="batch"))
    with pytest.raises(UserError, match=r"game.penalty is 0.0; it must be above 0"):
        dataclasses.replace(TINY, penalty=0.0)


def test_the_preset_has_the_papers_rates():
    config = parse_train_command(find("wgan_gp"), ["--preset", "wgan_gp-mnist_5000"], "test").game
    rates = config.optimizers
    assert (rates.generator, rates.discriminator, rates.beta1, rates.beta2) == (1e-4, 1e-4, 0.5, 0.9)
    assert (config.penalty, config.discriminator_steps, config.batch_size, config.latent) == (10.0, 5, 50, 128)
