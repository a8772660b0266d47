"""What makes SimGAN itself."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from tests.games.test_every_game import SPECS, Images
from textgan.data.images.domains import UnpairedImages
from textgan.game import Turn
from textgan.games.simgan import TINY, SimGAN
from textgan.reproducibility import seed_everything

SPEC = SPECS["image_domains"]["images"]
TURN = Turn("adversarial", 0, 0.0)


def _game(**changes: object) -> SimGAN:
    seed_everything(0)
    return SimGAN(dataclasses.replace(TINY, **changes), SPEC)


def _batch() -> UnpairedImages:
    return Images(SPEC, "image_domains").take(torch.arange(8))


def test_the_refiner_deceives_every_vote_and_is_held_to_what_it_was_given():
    game, (synthetic, real) = _game(regularisation=0.3), _batch()
    loss = game.generator_loss(UnpairedImages(synthetic, real), TURN)
    refined = game.generator(synthetic)
    votes = game.discriminator(refined)
    assert votes.shape == (8, 8, 8)
    torch.testing.assert_close(loss.terms["adversarial"], -torch.sigmoid(votes).log().mean())
    torch.testing.assert_close(loss.terms["regularisation"], 0.3 * (refined - synthetic).abs().mean())


def test_the_refiner_that_does_nothing_is_what_pretraining_asks_for():
    game, batch = _game(), _batch()
    game.generator = nn.Identity()
    loss = game.pretraining_loss(batch, TURN)
    assert {name: term.item() for name, term in loss.terms.items()} == {"regularisation": 0}


def test_first_the_refiner_learns_to_do_nothing_then_the_discriminator_then_both():
    stages = _game(refiner_steps=3, discriminator_steps=2).stages()
    assert [stage.name for stage in stages] == ["pretrain_refiner", "pretrain_discriminator", "adversarial"]
    moves = [[(move.player, move.times) for move in stage.moves] for stage in stages]
    assert moves == [[("generator", 1)], [("discriminator", 2)], [("generator", 3), ("discriminator", 2)]]


def test_half_of_the_fakes_that_the_discriminator_is_shown_are_of_its_history():
    game, (synthetic, real) = _game(history=8), _batch()
    game.discriminator_loss(UnpairedImages(synthetic, real), TURN)
    assert game.history.held == 8
    game.history.items.fill_(0.25)
    seen = []
    game.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    game.discriminator_loss(UnpairedImages(synthetic, real), TURN)
    assert torch.equal(seen[0], real)
    assert torch.equal(seen[1][:4], game.generator(synthetic)[:4].detach())
    assert (seen[1][4:] == 0.25).all()
    assert (game.history.items != 0.25).flatten(1).all(1).sum() == 4
    assert not seen[1].requires_grad


def test_a_vote_sees_a_patch_alone():
    """What is changed in one corner moves no vote in the other."""
    game = _game()
    images = _batch().a
    changed = images.clone()
    changed[:, :, :2, :2] += 0.5
    moved = (game.discriminator(images) != game.discriminator(changed)).any(0)
    assert moved[0, 0]
    assert not moved[4:].any()
    assert not moved[:, 4:].any()


def test_the_refiner_keeps_the_size_of_its_maps():
    assert {m.stride for m in _game().generator.modules() if isinstance(m, nn.Conv2d)} == {(1, 1)}
