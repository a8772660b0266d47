"""What makes a conditional variational autoencoder itself."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F

from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.game import Turn
from textgan.games.cvae import CVAE, TINY
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 8, 8, train_size=40, categories=("a", "b", "c"))
TURN = Turn("likelihood", 0, 0.0)
LIGHT = torch.rand(30, *SPEC.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
MANY = LabelledImages(LIGHT, torch.arange(30) % 3)
REAL = LabelledImages(MANY.image[:6], MANY.category[:6])


def _game(**changes) -> CVAE:
    seed_everything(0)
    return CVAE(dataclasses.replace(TINY, **changes), SPEC)


def test_both_networks_are_told_the_category_of_each_image():
    game = _game().eval()
    moved = torch.tensor([1, 2, 0, 4, 5, 3])
    z = game.latents(6)
    for network, x in ((game.encode, REAL.image), (game.decode, z)):
        found = network(x, REAL.category)
        torch.testing.assert_close(network(x[moved], REAL.category[moved]), found[moved])
        told = (network(x, REAL.category[moved]) - found).flatten(1).abs().sum(1)
        assert (told > 1e-4).all()


def test_the_loss_is_that_of_each_image_under_its_own_category():
    game = _game(likelihood="bernoulli")
    seed_everything(1)
    loss = game.loss(REAL, TURN)
    posterior = game.encoder(REAL.image, REAL.category)
    seed_everything(1)
    z = posterior.mean + (posterior.log_variance / 2).exp() * torch.randn(6, TINY.latent)
    light = (1 + game.decode(z, REAL.category)) / 2
    by_hand = F.binary_cross_entropy(light, (1 + REAL.image) / 2, reduction="sum") / 6
    torch.testing.assert_close(loss.terms["reconstruction"], by_hand)
    torch.testing.assert_close(loss.terms["divergence"], posterior.divergence().mean())


def test_samples_are_of_the_category_asked_for_or_of_each_in_turn():
    game = _game().eval()
    for category, expected in ((None, [0, 1, 2, 0, 1]), (2, [2] * 5)):
        seed_everything(1)
        images = game.sample(5, category)
        seed_everything(1)
        torch.testing.assert_close(images, game.decode(game.latents(5), torch.tensor(expected)))


def test_images_seen_stay_with_their_categories():
    game = _game()
    for start in range(0, 30, 10):
        game.loss(LabelledImages(*(part[start : start + 10] for part in MANY)), TURN)
    assert torch.equal(game.seen.items[:30], MANY.image)
    assert torch.equal(game.seen_categories.items[:30], MANY.category)


def test_analogies_have_the_code_of_one_image_and_every_category():
    game = _game().eval()
    assert game.sheets() == {}
    game.loss(REAL, TURN)
    sheets = game.sheets()
    codes = game.encode(REAL.image, REAL.category)
    assert sheets["analogies"].shape == (6, 2 + 3, 1, 8, 8)
    torch.testing.assert_close(sheets["analogies"][:, 0], REAL.image)
    torch.testing.assert_close(sheets["analogies"][:, 1], game.decode(codes, REAL.category))
    for k in range(3):
        torch.testing.assert_close(sheets["analogies"][:, 2 + k], game.decode(codes, torch.full((6,), k)))
    torch.testing.assert_close(sheets["reconstruction"][1], game.decode(codes, REAL.category))


def test_many_categories_make_a_sheet_that_can_be_looked_at():
    seed_everything(0)
    spec = dataclasses.replace(SPEC, categories=tuple(f"{k:02}" for k in range(40)))
    game = CVAE(TINY, spec).eval()
    game.loss(LabelledImages(REAL.image, REAL.category + 30), TURN)
    assert game.sheets()["analogies"].shape[:2] == (6, 14)
