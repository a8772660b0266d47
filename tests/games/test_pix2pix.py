"""What makes pix2pix itself."""

from __future__ import annotations

import dataclasses

import torch

from tests.games.test_every_game import SPECS, Images
from textgan.config import parse_train_command
from textgan.data.images.pairs import ImagePairs
from textgan.game import Turn
from textgan.games.pix2pix import TINY, Pix2Pix
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = SPECS["image_pairs"]["same size"]
TURN = Turn("adversarial", 0, 0.0)


def _game(spec=SPEC, **changes: object) -> Pix2Pix:
    seed_everything(0)
    return Pix2Pix(dataclasses.replace(TINY, **changes), spec)


def _pairs(spec=SPEC) -> ImagePairs:
    return Images(spec, "image_pairs").take(torch.arange(8))


def test_every_vote_plays_the_non_saturating_game_and_100_times_the_error_is_added():
    game, pairs = _game(), _pairs()
    seed_everything(3)
    loss = game.generator_loss(pairs, TURN)
    seed_everything(3)
    fake = game.generator(pairs.source)
    votes = game.discriminator(torch.cat([pairs.source, fake], 1))
    assert votes.shape == (8, 8, 8)
    assert set(loss.terms) == {"adversarial", "distance"}
    torch.testing.assert_close(loss.terms["adversarial"], -torch.sigmoid(votes).log().mean())
    torch.testing.assert_close(loss.terms["distance"], 100 * (fake - pairs.target).abs().mean())


def test_the_discriminator_is_shown_source_and_image_together():
    game, (source, target) = _game(), _pairs()
    game.eval()
    seen = []
    game.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    seed_everything(3)
    game.discriminator_loss((source, target), TURN)
    seed_everything(3)
    fake = game.generator(source)
    assert torch.equal(seen[0], torch.cat([source, target], 1))
    assert torch.equal(seen[1], torch.cat([source, fake], 1))
    assert not seen[1].requires_grad


def test_a_small_source_is_shown_as_large_as_the_image():
    spec = SPECS["image_pairs"]["half size"]
    game, pairs = _game(spec), _pairs(spec)
    seen = []
    game.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    game.discriminator_loss(pairs, TURN)
    assert torch.equal(seen[0][:, 3:], pairs.target)
    assert torch.equal(seen[0][:, :3, ::2, ::2], pairs.source)
    assert torch.equal(seen[0][:, :3, 1::2, 1::2], pairs.source)


def test_two_samples_of_one_source_differ_by_dropout_and_by_nothing_else():
    source = _pairs().source
    game = _game().eval()
    assert not torch.equal(game.sample(8, source), game.sample(8, source))
    sure = _game(generator=dataclasses.replace(TINY.generator, dropout=0.0)).eval()
    assert torch.equal(sure.sample(8, source), sure.sample(8, source))
    torch.testing.assert_close(sure.sample(8, source)[:1], sure.sample(1, source[:1]))


def test_the_preset_has_the_papers_sizes():
    config = parse_train_command(find("pix2pix"), ["--preset", "pix2pix-faces"], "test").game
    assert (config.distance, config.loss, config.generator.width, config.discriminator.width) == (
        100,
        "standard",
        64,
        64,
    )
    assert (config.optimizers.generator, config.optimizers.beta1) == (2e-4, 0.5)
