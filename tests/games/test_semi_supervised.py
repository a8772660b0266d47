"""What makes the semi-supervised GAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from textgan.config import parse_train_command
from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.semi_supervised import TINY, SemiSupervisedGAN
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 8, 8, train_size=40, categories=("a", "b", "c"))
START = Turn("adversarial", 0, 0.0)


def _game(**changes: object) -> SemiSupervisedGAN:
    seed_everything(0)
    plain = {
        "generator": ImageGeneratorConfig(width=4, norm="none", init_std=0.2),
        "discriminator": ImageDiscriminatorConfig(width=4, init_std=0.2),
    }
    return SemiSupervisedGAN(dataclasses.replace(TINY, **{**plain, **changes}), SPEC)


def _real(n: int = 12) -> LabelledImages:
    return LabelledImages(torch.rand(n, *SPEC.shape) * 2 - 1, torch.arange(n) % 3)


def test_real_or_fake_is_a_softmax_of_one_class_more_whose_logit_is_nothing():
    game, real = _game(), _real()
    seed_everything(1)
    loss = game.discriminator_loss(real, START)
    seed_everything(1)
    known = game.labelled.draw(12)
    fake = game.generator(game.latents(12)).detach()
    probabilities = {}
    for name, images in (("real", real.image), ("fake", fake)):
        logits = torch.cat([game.discriminator(images), torch.zeros(12, 1)], 1)
        probabilities[name] = logits.softmax(1)[:, 3]
    torch.testing.assert_close(loss.terms["real"], -(1 - probabilities["real"]).log().mean())
    torch.testing.assert_close(loss.terms["fake"], -probabilities["fake"].log().mean())
    of_known = game.discriminator(known.image).softmax(1)[torch.arange(12), known.category]
    torch.testing.assert_close(loss.terms["class"], -of_known.log().mean())
    assert list(loss.terms) == ["class", "real", "fake"]


def test_it_learns_no_label_but_the_first_of_each_category():
    """With all labels beyond these turned round the loss and its gradient are the same; with these, they are not."""
    real = _real()
    known = torch.arange(12) < 6  # two of each of three categories
    turned = LabelledImages(real.image, torch.where(known, real.category, (real.category + 1) % 3))
    wrong = LabelledImages(real.image, torch.where(known, (real.category + 1) % 3, real.category))
    gradients = []
    for batch in (real, turned, wrong):
        game = _game()
        seed_everything(1)
        sum(game.discriminator_loss(batch, START).terms.values()).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in game.discriminator.parameters()]))
    assert torch.equal(gradients[0], gradients[1])
    assert not torch.equal(gradients[0], gradients[2])


def test_how_many_labels_there_are_is_an_option():
    for labelled in (1, 3):
        game = _game(labelled=labelled)
        for _ in range(3):
            game.discriminator_loss(_real(), START)
        assert game.labelled.held.tolist() == [labelled] * 3
        assert game.labelled.images.shape == (3, labelled, *SPEC.shape)


def test_its_accuracy_is_of_the_batch_without_dropout_and_without_a_gradient():
    game, real = _game(discriminator=ImageDiscriminatorConfig(width=4, dropout=0.9, init_std=0.2)), _real(60)
    found = game.discriminator_loss(real, START).info["class_accuracy"]
    assert game.discriminator.training
    right = game.eval().discriminator(real.image).argmax(1) == real.category
    torch.testing.assert_close(found, right.float().mean())
    assert not found.requires_grad


def test_the_generator_matches_the_mean_of_features():
    game, real = _game(), _real()
    seed_everything(1)
    loss = game.generator_loss(real, START)
    assert list(loss.terms) == ["feature_matching"]
    seed_everything(1)
    fake = game.generator(game.latents(12))
    by_hand = torch.zeros(())
    for of_real, of_fake in zip(
        game.discriminator.features(real.image).T, game.discriminator.features(fake).T, strict=True
    ):
        by_hand = by_hand + (of_real.mean() - of_fake.mean()) ** 2
    torch.testing.assert_close(loss.terms["feature_matching"], by_hand)
    found = torch.autograd.grad(loss.terms["feature_matching"], list(game.generator.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in found)


def test_fakes_are_fixed_for_the_discriminator():
    game = _game()
    sum(game.discriminator_loss(_real(), START).terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())


def test_images_of_a_category_are_those_that_the_classifier_takes_for_it():
    """Of a classifier for which half of the images are dark, three tenths middling and the others light."""
    game = _game()
    shades = game.decode(game.latents(3000)).mean((1, 2, 3))
    limits = shades.quantile(torch.tensor([0.5, 0.8]))
    game.classify = lambda images: torch.bucketize(images.mean((1, 2, 3)), limits)
    in_turn, alone = game.sample(30), game.sample(30, category=2)
    assert game.classify(in_turn).tolist() == [0, 1, 2] * 10
    assert game.classify(alone).tolist() == [2] * 30
    assert len(alone.flatten(1).unique(dim=0)) == 30


def test_a_category_that_is_never_made_does_not_keep_it_waiting():
    game = _game()
    game.classify = lambda images: torch.zeros(len(images), dtype=torch.int64)
    assert game.sample(6).shape == (6, *SPEC.shape)


def test_no_labels_are_refused():
    with pytest.raises(UserError, match=r"game\.labelled is 0; it must be at least 1"):
        _game(labelled=0)


def test_the_preset_is_of_images_that_it_names():
    config = parse_train_command(find("semi_supervised"), ["--preset", "semi_supervised-mnist"], "test")
    assert (config.corpus, config.game.labelled) == ("mnist_5000", 10)
    game = SemiSupervisedGAN(config.game, ImageSpec(1, 28, 28, train_size=4000, categories=tuple("0123456789")))
    assert game.sample(2).shape == (2, 1, 28, 28)
