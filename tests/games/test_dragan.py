"""What makes DRAGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from textgan.config import parse_train_command
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.dragan import DRAGAN, TINY
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(channels=1, height=8, width=8, train_size=40)
START = Turn("adversarial", 0, 0.0)
REAL = torch.rand(6, *SPEC.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def _game(**changes: object) -> DRAGAN:
    seed_everything(0)
    return DRAGAN(dataclasses.replace(TINY, **changes), SPEC)


def _points(game: DRAGAN, real: Tensor, fake: Tensor) -> Tensor:
    """Where the slope is looked at."""
    seen = []
    handle = game.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    game.penalties(real, fake)
    handle.remove()
    (points,) = seen
    return points


def test_the_slope_is_looked_at_around_real_images_alone():
    """Moved up by at most half a standard deviation, each image by a part of its own: fakes do not count."""
    game = _game(reach=0.5)
    real = REAL.repeat(50, 1, 1, 1)
    seed_everything(1)
    points = _points(game, real, torch.full_like(real, 1e6))
    seed_everything(1)
    assert torch.equal(points, _points(game, real, torch.zeros_like(real)))
    moved = (points - real) / (0.5 * real.std())
    assert moved.min() >= -1e-5
    assert moved.max() <= 1 + 1e-5
    assert moved.max() > 0.95
    # e u, both uniform: the mean is 1/4, and the largest of an image's 64 numbers is nearly its own e
    assert moved.mean().item() == pytest.approx(0.25, abs=0.03)
    largest = moved.flatten(1).max(1).values
    assert largest.min() < 0.2
    assert largest.std().item() == pytest.approx(12**-0.5, rel=0.15)


def test_the_reach_is_the_scale_of_the_move():
    game = _game(reach=2.0)
    points = _points(game, REAL.repeat(50, 1, 1, 1), REAL)
    moved = points - REAL.repeat(50, 1, 1, 1)
    assert moved.max().item() == pytest.approx(2 * REAL.std().item(), rel=0.05)


def test_the_penalty_and_its_gradient_are_those_of_a_loop_over_images():
    game = _game(penalty=3.0, discriminator=ImageDiscriminatorConfig(width=4, init_std=0.3))
    seed_everything(1)
    found = game.penalties(REAL, REAL)["penalty"]
    seed_everything(1)
    points = _points(game, REAL, REAL)
    terms = []
    for point in points:
        image = point[None].requires_grad_(True)
        (slope,) = torch.autograd.grad(game.discriminator(image)[0], image, create_graph=True)
        terms.append((slope.square().sum().sqrt() - 1) ** 2)
    expected = 3 * sum(terms) / 6
    torch.testing.assert_close(found, expected)
    weights = [p for name, p in game.discriminator.named_parameters() if name.endswith("weight")]
    for one, other in zip(torch.autograd.grad(found, weights), torch.autograd.grad(expected, weights), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
        assert one.abs().sum() > 0


def test_it_is_the_non_saturating_game_and_one_loss_with_the_penalty():
    game = _game()
    seed_everything(1)
    loss = game.discriminator_loss(REAL, START)
    seed_everything(1)
    generated = game.generator_loss(REAL, START)
    seed_everything(1)
    on_fake = game.discriminator(game.sample(6))
    assert list(loss.terms) == ["real", "fake", "penalty"]
    torch.testing.assert_close(loss.terms["real"], -game.discriminator(REAL).sigmoid().log().mean())
    torch.testing.assert_close(loss.terms["fake"], -(1 - on_fake.sigmoid()).log().mean())
    torch.testing.assert_close(generated.terms, {"adversarial": -on_fake.sigmoid().log().mean()})
    sum(loss.terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())


@pytest.mark.parametrize("field", ["penalty", "reach"])
def test_a_number_that_cannot_be_is_refused(field):
    with pytest.raises(UserError, match=f"game.{field} is 0.0; it must be above 0"):
        dataclasses.replace(TINY, **{field: 0.0})


def test_a_penalty_on_top_of_batch_norm_is_refused():
    with pytest.raises(UserError, match=r"discriminator.norm is 'batch'.*none, instance or layer"):
        dataclasses.replace(TINY, discriminator=ImageDiscriminatorConfig(norm="batch"))


def test_the_preset_has_the_papers_penalty():
    config = parse_train_command(find("dragan"), ["--preset", "dragan-faces"], "test").game
    assert (config.penalty, config.discriminator.norm) == (10.0, "none")
    assert (config.latent, config.latents) == (100, "uniform")
