"""What makes the loss-sensitive GAN itself."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from textgan.config import parse_train_command
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.ls_gan import TINY, LossSensitiveGAN, loss_of
from textgan.parts.referee import TricksConfig
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(channels=1, height=8, width=8, train_size=40)
START = Turn("adversarial", 0, 0.0)
REAL = torch.rand(6, *SPEC.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def _game(**changes: object) -> LossSensitiveGAN:
    seed_everything(0)
    return LossSensitiveGAN(dataclasses.replace(TINY, **changes), SPEC)


def _cost(score: float) -> float:
    return math.log(1 + math.exp(-score))


@pytest.mark.parametrize(("weight", "margin"), [(10.0, 1.0), (0.5, 4.0), (3.0, 0.02)])
def test_the_loss_is_that_of_real_images_and_what_is_missing_from_each_pairs_margin(weight, margin):
    game = _game(weight=weight, margin=margin)
    seed_everything(1)
    loss = game.discriminator_loss(REAL, START)
    seed_everything(1)
    fake = game.sample(6)
    on_real, on_fake = game.discriminator(REAL).tolist(), game.discriminator(fake).tolist()
    missing = []
    for i in range(6):
        numbers = zip(REAL[i].flatten().tolist(), fake[i].flatten().tolist(), strict=True)
        distance = margin * sum(abs(a - b) for a, b in numbers) / SPEC.numbers
        missing.append(max(0.0, distance + _cost(on_real[i]) - _cost(on_fake[i])))
    assert list(loss.terms) == ["real", "margin"]
    assert loss.terms["real"].item() == pytest.approx(sum(map(_cost, on_real)) / 6, rel=1e-4)
    assert loss.terms["margin"].item() == pytest.approx(weight * sum(missing) / 6, rel=1e-4)
    torch.testing.assert_close(loss.info["distance"], margin * (REAL - fake).abs().mean(), rtol=1e-4, atol=1e-5)


def test_a_pair_whose_margin_is_kept_has_no_gradient():
    """Scores of 3 and -3 are 6 apart in cost: more than a margin of 1, less than one of 20."""
    on_real, on_fake = torch.tensor([3.0], requires_grad=True), torch.tensor([-3.0], requires_grad=True)
    for margin, inside in ((0.5, True), (20.0, False)):
        game = _game(margin=margin)
        game.referee.scores = lambda *_: (on_real, on_fake)
        loss = game.discriminator_loss(REAL[:1].clamp(min=0.5), START)
        gradients = torch.autograd.grad(loss.terms["margin"], [on_real, on_fake])
        if inside:
            assert all(gradient.item() == 0 for gradient in gradients)
        else:
            expected = 10 * torch.sigmoid(-on_real.detach()), 10 * torch.sigmoid(-on_fake.detach())
            torch.testing.assert_close(gradients, (-expected[0], expected[1]))


def test_fakes_equal_to_real_images_have_no_margin():
    game = _game(weight=1.0)
    game.sample = lambda n: REAL
    game.discriminator.eval()
    loss = game.discriminator_loss(REAL, START)
    assert loss.info["distance"].item() == 0
    assert loss.terms["margin"].item() == 0


def test_fakes_are_held_fixed():
    game = _game()
    sum(game.discriminator_loss(REAL, START).terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())
    assert all(p.grad.abs().sum() > 0 for p in game.discriminator.parameters())


def test_the_generator_lowers_the_loss_of_its_images():
    game = _game()
    seed_everything(1)
    found = game.generator_loss(REAL, START).terms["adversarial"]
    seed_everything(1)
    torch.testing.assert_close(found, loss_of(game.discriminator(game.sample(6))).mean())


def test_a_loss_is_never_below_zero_and_falls_with_the_score():
    scores = torch.linspace(-50, 50, 101)
    costs = loss_of(scores)
    assert (costs >= 0).all()
    assert (costs.diff() <= 0).all()
    torch.testing.assert_close(costs[50], torch.tensor(math.log(2)))


@pytest.mark.parametrize(
    ("field", "value"), [("weight", 0.0), ("margin", -1.0), ("loss", "hinge"), ("tricks", TricksConfig(flipped=0.1))]
)
def test_what_cannot_be_is_refused(field, value):
    with pytest.raises(UserError, match=f"game.{field} is"):
        dataclasses.replace(TINY, **{field: value})


def test_the_preset_has_the_latents_and_rates_of_the_authors_code():
    config = parse_train_command(find("ls_gan"), ["--preset", "ls_gan-faces"], "test").game
    assert (config.latents, config.latent, config.discriminator.norm) == ("uniform", 100, "batch")
    assert (config.optimizers.generator, config.optimizers.discriminator) == (1e-4, 1e-4)
