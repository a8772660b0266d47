"""What makes BigGAN itself."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from textgan.config import parse_train_command
from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.biggan import TINY, BigGAN
from textgan.networks.image_conditioning import ProjectionDiscriminator
from textgan.networks.image_skip_latents import orthogonal_penalty
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 8, 8, train_size=40, categories=("a", "b", "c"))
START = Turn("adversarial", 0, 0.0)
CATEGORY = torch.tensor([2, 0, 1, 1, 0])


def _game(**changes: object) -> BigGAN:
    seed_everything(0)
    return BigGAN(dataclasses.replace(TINY, **changes), SPEC)


def _real() -> LabelledImages:
    return LabelledImages(torch.rand(5, *SPEC.shape) * 2 - 1, CATEGORY)


def test_it_plays_the_hinge_game_of_images_and_categories():
    game, real = _game().eval(), _real()
    with torch.no_grad():  # scores on both sides of the margin
        game.discriminator.body.output.parametrizations.weight.original.mul_(1)
        game.discriminator.body.output.bias.fill_(0.9)
    seed_everything(1)
    loss = game.discriminator_loss(real, START)
    seed_everything(1)
    fake = game.generator(game.latents(5), CATEGORY)
    of_real, of_fake = game.discriminator(real.image, CATEGORY), game.discriminator(fake, CATEGORY)
    torch.testing.assert_close(loss.terms["real"], sum(max(0, 1 - x) for x in of_real.tolist()) / torch.tensor(5.0))
    torch.testing.assert_close(loss.terms["fake"], sum(max(0, 1 + x) for x in of_fake.tolist()) / torch.tensor(5.0))
    seed_everything(1)
    terms = game.generator_loss(real, START).terms
    torch.testing.assert_close(terms["adversarial"], -of_fake.mean())
    assert list(terms) == ["adversarial", "orthogonal"]


def test_the_generators_filters_are_kept_apart_and_the_discriminators_are_not():
    game, real = _game(orthogonal=0.25), _real()
    loss = game.generator_loss(real, START)
    torch.testing.assert_close(loss.terms["orthogonal"], 0.25 * orthogonal_penalty(game.generator))
    (slope,) = torch.autograd.grad(loss.terms["orthogonal"], game.generator.last[2].parametrizations.weight.original)
    assert slope.shape == (1, 8, 3, 3)
    assert "orthogonal" not in game.discriminator_loss(real, START).terms


def test_the_discriminator_is_a_projection_under_spectral_norm_and_makes_two_steps_a_round():
    game = _game()
    assert isinstance(game.discriminator, ProjectionDiscriminator)
    weights = [m.weight for m in game.discriminator.modules() if hasattr(m, "parametrizations")]
    assert len(weights) == 1 + 3 + 1 + 1  # the first convolution, a block's, the output, the categories
    (stage,) = game.stages()
    assert [(move.player, move.times) for move in stage.moves] == [("discriminator", 2), ("generator", 1)]


def test_truncated_latents_are_a_normal_cut_off():
    game = _game(latent=10)
    limit = 0.8
    found = game.truncated(20_000, limit).flatten()
    assert found.abs().max() <= limit
    normal = torch.randn(400_000)
    kept = normal[normal.abs() <= limit]
    quantiles = torch.linspace(0.05, 0.95, 19)
    torch.testing.assert_close(
        found[:100_000].quantile(quantiles), kept[:100_000].quantile(quantiles), atol=0.015, rtol=0
    )
    inside = math.erf(limit / math.sqrt(2))
    density = math.exp(-(limit**2) / 2) / math.sqrt(2 * math.pi)
    assert found.var().item() == pytest.approx(1 - 2 * limit * density / inside, rel=0.02)


def test_a_sample_is_of_truncated_latents_where_it_is_asked_to_be():
    game = _game()
    made = []
    game.generator.register_forward_hook(lambda module, inputs, output: made.append(inputs))
    game.sample(300)
    game.sample(300, category=1, truncation=0.5)
    assert made[0][0].abs().max() > 2
    assert made[1][0].abs().max() <= 0.5
    assert made[0][1].tolist() == [0, 1, 2] * 100
    assert made[1][1].tolist() == [1] * 300


@pytest.mark.parametrize("limit", [0.0, -1.0, math.inf, math.nan])
def test_a_truncation_that_leaves_nothing_or_everything_is_refused(limit):
    with pytest.raises(UserError, match=r"truncation is .*; it must be above 0, and finite"):
        _game().sample(2, truncation=limit)


def test_latents_that_cannot_be_cut_off_are_refused():
    with pytest.raises(UserError, match=r"game\.latents is 'uniform'; it must be 'gaussian'"):
        _game(latents="uniform")


def test_the_preset_has_the_papers_schedule():
    config = parse_train_command(find("biggan"), ["--preset", "biggan-faces"], "test")
    assert (config.corpus, config.trainer.ema) == ("faces", 0.9999)
    assert (config.game.latent, config.game.embedding, config.game.orthogonal) == (120, 128, 1e-4)
    rates = config.game.optimizers
    assert (rates.generator, rates.discriminator, rates.beta1, rates.beta2) == (5e-5, 2e-4, 0.0, 0.999)
    game = BigGAN(config.game, ImageSpec(1, 32, 32, train_size=300, categories=tuple("abc")))
    assert game.generator.parts == [30, 30, 30, 30]
    assert game.sample(2).shape == (2, 1, 32, 32)
