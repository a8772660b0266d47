"""What makes CAN itself."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from textgan.config import parse_train_command
from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.can import CAN, TINY, ambiguity, entropy
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 8, 8, train_size=40, categories=("a", "b", "c"))
START = Turn("adversarial", 0, 0.0)
CATEGORY = torch.tensor([2, 0, 1, 1, 0])


def _game(**changes: object) -> CAN:
    seed_everything(0)
    plain = {
        "generator": ImageGeneratorConfig(width=4, norm="none", init_std=0.2),
        "discriminator": ImageDiscriminatorConfig(width=4, init_std=0.2),
    }
    return CAN(dataclasses.replace(TINY, **{**plain, **changes}), SPEC)


def _real() -> LabelledImages:
    return LabelledImages(torch.rand(5, *SPEC.shape) * 2 - 1, CATEGORY)


def test_ambiguity_is_the_papers_sum_over_styles():
    torch.manual_seed(0)
    logits = torch.randn(6, 4) * 2
    p = logits.softmax(1)
    by_hand = -sum((p[i, k].log() / 4 + 3 / 4 * (1 - p[i, k]).log()) for i in range(6) for k in range(4)) / 6
    torch.testing.assert_close(ambiguity(logits), by_hand)


@pytest.mark.parametrize("k", [2, 3, 10])
def test_ambiguity_is_least_where_no_style_is_likelier_than_another(k):
    torch.manual_seed(0)
    logits = torch.zeros(1, k, requires_grad=True)
    least = ambiguity(logits)
    assert least.item() == pytest.approx(k * -(math.log(1 / k) / k + (1 - 1 / k) * math.log(1 - 1 / k)), rel=1e-5)
    (slope,) = torch.autograd.grad(least, logits)
    assert slope.abs().max() < 1e-6
    assert all(ambiguity(torch.randn(1, k)) > least for _ in range(50))


def test_ambiguity_is_finite_and_has_a_slope_where_a_style_is_certain():
    logits = torch.tensor([[60.0, 0.0, 0.0]], requires_grad=True)
    value = ambiguity(logits)
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 1] < 0


def test_entropy_is_in_nats():
    assert entropy(torch.zeros(2, 4)).item() == pytest.approx(math.log(4))
    assert entropy(torch.tensor([[0.0, math.log(3)]])).item() == pytest.approx(
        -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    )


def test_the_discriminator_learns_styles_of_real_images_alone():
    game, real = _game(), _real()
    seed_everything(1)
    loss = game.discriminator_loss(real, START)
    seed_everything(1)
    fake = game.sample(5).detach()
    of_real, of_fake = game.discriminator(real.image), game.discriminator(fake)
    torch.testing.assert_close(loss.terms["real"], -of_real[:, 0].sigmoid().log().mean())
    torch.testing.assert_close(loss.terms["fake"], -(1 - of_fake[:, 0].sigmoid()).log().mean())
    by_hand = -of_real[:, 1:].softmax(1)[torch.arange(5), CATEGORY].log().mean()
    torch.testing.assert_close(loss.terms["style"], by_hand)
    assert list(loss.terms) == ["real", "fake", "style"]


def test_the_generator_wants_to_be_art_of_no_style():
    game, real = _game(ambiguity=0.3), _real()
    seed_everything(1)
    loss = game.generator_loss(real, START)
    seed_everything(1)
    said = game.discriminator(game.sample(5))
    torch.testing.assert_close(loss.terms["adversarial"], -said[:, 0].sigmoid().log().mean())
    torch.testing.assert_close(loss.terms["ambiguity"], 0.3 * ambiguity(said[:, 1:]))
    torch.testing.assert_close(loss.info["style_entropy"], entropy(said[:, 1:]))


def test_ambiguity_reaches_the_generator_and_fakes_are_fixed_for_the_discriminator():
    game, real = _game(), _real()
    terms = game.generator_loss(real, START).terms
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(terms["ambiguity"], list(game.generator.parameters())))
    sum(game.discriminator_loss(real, START).terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())


def test_a_style_that_is_asked_for_makes_no_difference():
    game = _game()
    images = []
    for category in (None, 0, 2):
        seed_everything(1)
        images.append(game.sample(3, category=category))
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[0], images[2])


def test_ambiguity_cannot_weigh_less_than_nothing():
    with pytest.raises(UserError, match=r"game\.ambiguity is -1\.0; it must be at least 0"):
        _game(ambiguity=-1.0)


def test_the_preset_is_of_images_that_it_names():
    config = parse_train_command(find("can"), ["--preset", "can-mnist"], "test")
    assert config.corpus == "mnist_5000"
    game = CAN(config.game, ImageSpec(1, 28, 28, train_size=4000, categories=tuple("0123456789")))
    assert game.sample(2).shape == (2, 1, 28, 28)
