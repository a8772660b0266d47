"""What makes AC-GAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from textgan.config import parse_train_command
from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.acgan import ACGAN, TINY
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 8, 8, train_size=40, categories=("a", "b", "c"))
START = Turn("adversarial", 0, 0.0)
CATEGORY = torch.tensor([2, 0, 1, 1, 0])


def _game(together: bool = False, **changes: object) -> ACGAN:
    seed_everything(0)
    plain = {
        "generator": ImageGeneratorConfig(width=4, norm="none", init_std=0.2),
        "discriminator": ImageDiscriminatorConfig(width=4, init_std=0.2),
        "tricks": dataclasses.replace(TINY.tricks, together=together),
    }
    return ACGAN(dataclasses.replace(TINY, **{**plain, **changes}), SPEC)


def _real() -> LabelledImages:
    return LabelledImages(torch.rand(5, *SPEC.shape) * 2 - 1, CATEGORY)


def _cross_entropy(logits: torch.Tensor, category: torch.Tensor) -> torch.Tensor:
    """By its definition, image by image."""
    return torch.stack(
        [-(row.exp() / row.exp().sum())[k].log() for row, k in zip(logits, category, strict=True)]
    ).mean()


@pytest.mark.parametrize("together", [False, True])
def test_the_discriminator_wants_source_and_class_of_real_images_and_of_fakes(together):
    game, real = _game(together, class_weight=0.7), _real()
    seed_everything(1)
    loss = game.discriminator_loss(real, START)
    seed_everything(1)
    fake = game.generator(game.latents(5), CATEGORY).detach()
    of_real, of_fake = game.discriminator(real.image), game.discriminator(fake)
    expected = {
        "real": -of_real[:, 0].sigmoid().log().mean(),
        "fake": -(1 - of_fake[:, 0].sigmoid()).log().mean(),
        "class_real": 0.7 * _cross_entropy(of_real[:, 1:], CATEGORY),
        "class_fake": 0.7 * _cross_entropy(of_fake[:, 1:], CATEGORY),
    }
    assert loss.terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(loss.terms[name], value)
    right = (of_real[:, 1:].argmax(1) == CATEGORY).float().mean()
    torch.testing.assert_close(loss.info["class_accuracy"], right)


def test_the_generator_wants_to_be_taken_for_real_and_for_what_it_was_asked():
    game, real = _game(class_weight=0.7), _real()
    seed_everything(1)
    loss = game.generator_loss(real, START)
    seed_everything(1)
    said = game.discriminator(game.generator(game.latents(5), CATEGORY))
    torch.testing.assert_close(loss.terms["adversarial"], -said[:, 0].sigmoid().log().mean())
    torch.testing.assert_close(loss.terms["class"], 0.7 * _cross_entropy(said[:, 1:], CATEGORY))
    assert list(loss.terms) == ["adversarial", "class"]


def test_the_class_reaches_the_generator_and_fakes_are_fixed_for_the_discriminator():
    game, real = _game(), _real()
    gradients = torch.autograd.grad(game.generator_loss(real, START).terms["class"], list(game.generator.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
    sum(game.discriminator_loss(real, START).terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())


def test_the_discriminator_is_not_told_the_category():
    game = _game()
    images = torch.rand(4, *SPEC.shape)
    assert game.discriminator(images).shape == (4, 1 + 3)
    with pytest.raises(TypeError):
        game.discriminator(images, CATEGORY[:4])


def test_a_classifier_that_weighs_nothing_is_refused():
    with pytest.raises(UserError, match=r"game\.class_weight is 0\.0; it must be above 0"):
        _game(class_weight=0.0)


def test_the_preset_is_of_images_that_it_names():
    config = parse_train_command(find("acgan"), ["--preset", "acgan-mnist"], "test")
    assert config.corpus == "mnist_5000"
    game = ACGAN(config.game, ImageSpec(1, 28, 28, train_size=4000, categories=tuple("0123456789")))
    assert game.sample(2).shape == (2, 1, 28, 28)
