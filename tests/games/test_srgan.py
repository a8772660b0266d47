"""What makes SRGAN itself."""

from __future__ import annotations

import torch

from tests.games.test_every_game import SPECS, Images
from textgan.config import parse_train_command
from textgan.data.images.pairs import ImagePairs
from textgan.game import Turn
from textgan.games.srgan import SRGAN, TINY
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = SPECS["image_pairs"]["half size"]
TURN = Turn("adversarial", 0, 0.0)


def _game() -> SRGAN:
    seed_everything(0)
    return SRGAN(TINY, SPEC)


def _pairs() -> ImagePairs:
    return Images(SPEC, "image_pairs").take(torch.arange(8))


def test_it_sees_then_enlarges_by_the_squared_error_then_plays():
    stages = _game().stages()
    assert [stage.name for stage in stages] == ["perception", "pretrain", "adversarial"]
    players = [[move.player for move in stage.moves] for stage in stages]
    assert players == [["perception"], ["generator"], ["discriminator", "generator"]]


def test_before_the_game_the_generator_minimises_the_squared_error_of_pixels():
    game, (source, real) = _game(), _pairs()
    loss = game.pretraining_loss((source, real), TURN)
    expected = (game.generator(source) - real).square().sum() / real.numel()
    assert list(loss.terms) == ["error"]
    torch.testing.assert_close(loss.terms["error"], expected)


def test_in_the_game_it_minimises_the_squared_error_of_what_is_seen_and_a_thousandth_of_the_game():
    game, (source, real) = _game(), _pairs()
    loss = game.generator_loss((source, real), TURN)
    fake = game.generator(source)
    seen = [game.perception.eval().body(images) for images in (fake, real)]
    torch.testing.assert_close(loss.terms["content"], (seen[0] - seen[1]).square().mean())
    torch.testing.assert_close(loss.terms["adversarial"], -1e-3 * torch.sigmoid(game.discriminator(fake)).log().mean())
    assert set(loss.terms) == {"content", "adversarial"}


def test_in_the_game_the_network_that_sees_stands_still_and_passes_the_gradient_on():
    game, pairs = _game(), _pairs()
    players = game.optimizers()
    seeing = {id(p) for p in game.perception.parameters()}
    assert {id(p) for group in players["perception"].param_groups for p in group["params"]} == seeing
    for player in ("generator", "discriminator"):
        assert not seeing & {id(p) for group in players[player].param_groups for p in group["params"]}
    game.perception.requires_grad_(False)
    game.generator_loss(pairs, TURN).terms["content"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in game.generator.parameters())


def test_the_discriminator_is_shown_large_images_alone():
    game, (source, real) = _game(), _pairs()
    seen = []
    game.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    game.discriminator_loss((source, real), TURN)
    assert [images.shape for images in seen] == [real.shape, real.shape]
    assert torch.equal(seen[0], real)
    assert not seen[1].requires_grad


def test_it_learns_to_see_from_the_large_images():
    game, pairs = _game(), _pairs()
    seen = []
    game.perception.body.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    game.stages()[0].moves[0].loss(pairs, TURN)
    assert seen[0].shape == pairs.target.shape


def test_sources_are_halves_where_nothing_is_said():
    assert parse_train_command(find("srgan"), [], "test").data.source == "half"
