"""What makes cGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from textgan.config import parse_train_command
from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.game import Turn
from textgan.games.cgan import CGAN, TINY
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 8, 8, train_size=40, categories=("a", "b", "c"))
START = Turn("adversarial", 0, 0.0)
KINDS = ["embedding", "product", "concatenation"]


def _game(**changes: object) -> CGAN:
    seed_everything(0)
    plain = {
        "generator": ImageGeneratorConfig(width=4, norm="none", init_std=0.2),
        "discriminator": ImageDiscriminatorConfig(width=4, init_std=0.2),
    }
    return CGAN(dataclasses.replace(TINY, **{**plain, **changes}), SPEC)


def _real(n: int = 5) -> LabelledImages:
    return LabelledImages(torch.rand(n, *SPEC.shape) * 2 - 1, torch.arange(n) * 2 % 3)


@pytest.mark.parametrize("join", KINDS)
def test_the_discriminators_loss_is_that_of_pairs_of_image_and_category(join):
    game, real = _game(join=join), _real()
    seed_everything(1)
    loss = game.discriminator_loss(real, START)
    seed_everything(1)
    fake = game.generator(game.latents(5), real.category).detach()
    of_real, of_fake = (
        torch.stack([game.discriminator(x[None], y[None])[0] for x, y in zip(images, real.category, strict=True)])
        for images in (real.image, fake)
    )
    torch.testing.assert_close(loss.terms["real"], -of_real.sigmoid().log().mean())
    torch.testing.assert_close(loss.terms["fake"], -(1 - of_fake.sigmoid()).log().mean())


@pytest.mark.parametrize("join", KINDS)
def test_the_generators_loss_is_of_fakes_of_the_real_images_categories(join):
    game, real = _game(join=join), _real()
    seed_everything(1)
    loss = game.generator_loss(real, START)
    assert list(loss.terms) == ["adversarial"]
    seed_everything(1)
    fake = game.generator(game.latents(5), real.category)
    by_hand = -game.discriminator(fake, real.category).sigmoid().log().mean()
    torch.testing.assert_close(loss.terms["adversarial"], by_hand)
    parameters = list(game.generator.parameters())
    for one, other in zip(
        *(torch.autograd.grad(x, parameters) for x in (loss.terms["adversarial"], by_hand)), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_each_side_has_its_own_gradient_alone():
    game, real = _game(), _real()
    sum(game.discriminator_loss(real, START).terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())
    assert all(p.grad is not None for p in game.discriminator.parameters())


@pytest.mark.parametrize("together", [False, True])
def test_in_one_batch_or_two_every_image_keeps_its_category(together):
    game, real = _game(tricks=dataclasses.replace(TINY.tricks, together=together)), _real()
    asked = []
    game.discriminator.register_forward_hook(lambda module, inputs, output: asked.append(inputs))
    game.discriminator_loss(real, START)
    images, categories = (torch.cat(parts) for parts in zip(*asked, strict=True))
    assert torch.equal(images[:5], real.image)
    assert torch.equal(categories, real.category.repeat(2))


def test_samples_are_of_each_category_in_turn_or_of_one():
    game = _game()
    asked = []
    game.generator.register_forward_hook(lambda module, inputs, output: asked.append(inputs[1].tolist()))
    game.sample(7)
    game.sample(3, category=2)
    assert asked == [[0, 1, 2, 0, 1, 2, 0], [2, 2, 2]]


def test_both_networks_have_the_join_that_is_asked_for():
    for join in KINDS:
        game = _game(join=join)
        assert game.generator.join.kind == game.discriminator.join.kind == join


def test_a_level_that_the_objective_does_not_see_is_not_learned():
    assert _game(loss="relativistic").discriminator.output.bias is None
    assert _game().discriminator.output.bias is not None


def test_the_preset_is_of_images_that_it_names():
    config = parse_train_command(find("cgan"), ["--preset", "cgan-mnist"], "test")
    assert config.corpus == "mnist_5000"
    game = CGAN(config.game, ImageSpec(1, 28, 28, train_size=4000, categories=tuple("0123456789")))
    assert game.sample(2).shape == (2, 1, 28, 28)


@pytest.mark.slow
@pytest.mark.parametrize("join", KINDS)
def test_it_learns_which_category_is_which(join):
    """Half a minute: categories are shades of grey."""
    game = _game(join=join, batch_size=32)
    optimizers = game.optimizers()
    for _ in range(600):
        category = torch.randint(0, 3, (32,))
        image = ((category - 1) * 0.7)[:, None, None, None] + 0.05 * torch.randn(32, *SPEC.shape)
        for player, loss in (("discriminator", game.discriminator_loss), ("generator", game.generator_loss)):
            optimizers[player].zero_grad()
            sum(loss(LabelledImages(image, category), START).terms.values()).backward()
            optimizers[player].step()
    shades = torch.stack([game.sample(64, category=k).mean() for k in range(3)])
    torch.testing.assert_close(shades, torch.tensor([-0.7, 0.0, 0.7]), atol=0.2, rtol=0)
