"""What makes LAPGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Move, Turn
from textgan.games.lapgan import LAPGAN, TINY
from textgan.networks.image_pyramid import double, halve
from textgan.parts.referee import TricksConfig
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 14, 14, train_size=40)
TURN = Turn("train", 0, 0.0)


def _game(spec: ImageSpec = SPEC, **changes) -> LAPGAN:
    seed_everything(0)
    return LAPGAN(dataclasses.replace(TINY, **changes), spec)


def _s(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


def test_levels_learn_from_the_smallest_to_the_image_and_the_last_alone_is_watched():
    stages = _game().stages()
    assert [stage.name for stage in stages] == ["train_4x4", "train_7x7", "train_14x14"]
    assert [[m.player for m in stage.moves if isinstance(m, Move)] for stage in stages] == [
        [f"discriminator_{name}", f"generator_{name}"] for name in ("4x4", "7x7", "14x14")
    ]
    assert [stage.watched for stage in stages] == [False, False, True]


def test_an_image_is_split_into_what_the_one_before_has_and_what_it_lacks():
    game, real = _game(), torch.rand(3, 1, 14, 14)
    image, low = game.split(real, 2)
    assert torch.equal(image, real)
    torch.testing.assert_close(low, double(halve(real), (14, 14)))
    torch.testing.assert_close(halve(image - low), torch.zeros(3, 1, 7, 7), atol=1e-6, rtol=0)
    image, low = game.split(real, 1)
    torch.testing.assert_close(image, halve(real))
    torch.testing.assert_close(low, double(halve(real, 2), (7, 7)))
    image, low = game.split(real, 0)
    torch.testing.assert_close(image, halve(real, 2))
    assert low is None


@pytest.mark.parametrize("together", [False, True])
def test_a_levels_losses_are_of_images_that_have_what_real_ones_have_and_of_that_beside_them(together):
    game, real = _game(tricks=TricksConfig(together=together)).eval(), torch.rand(6, 1, 14, 14)
    low = double(halve(real, 2), (7, 7))
    seed_everything(1)
    loss = game.level_loss(1, real, TURN)
    seed_everything(1)
    noise = game.latents(6)[:, 8 : 8 + 49].view(6, 1, 7, 7)
    fake = low + game.generator.levels[1](noise, low)
    on_real, on_fake = (game.discriminator[1](torch.cat([x, low], 1)) for x in (halve(real), fake))
    torch.testing.assert_close(loss.terms["real"], -_s(on_real).log().mean())
    torch.testing.assert_close(loss.terms["fake"], -(1 - _s(on_fake)).log().mean())
    seed_everything(1)
    found = game.level_generator_loss(1, real, TURN).terms["adversarial"]
    torch.testing.assert_close(found, -_s(on_fake).log().mean())


def test_a_discriminators_loss_holds_the_fakes_fixed():
    game, real = _game(), torch.rand(6, 1, 14, 14)
    for level in range(3):
        loss = game.level_loss(level, real, TURN)
        sum(loss.terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())
    assert all(p.grad is not None for p in game.discriminator.parameters())


def test_every_pixel_of_the_smallest_level_meets_every_other_before_the_last_layer():
    """Convolutions of so few pixels told nothing apart: what a pixel does depended on its neighbours alone."""
    game = _game()
    smallest, larger = game.discriminator[0], game.discriminator[1]
    assert _mixed(smallest, game.sizes[0], 1)
    assert not _mixed(larger, game.sizes[1], 2)


def _mixed(network, size, channels):
    """Whether some feature depends on two opposite corners at once."""
    images = torch.zeros(1, channels, *size, requires_grad=True)
    features = network.eval().features(images).flatten()
    first, last = zip(*((g[0, 0, 0, 0], g[0, 0, -1, -1]) for f in features if (g := torch.autograd.grad(
        f, images, retain_graph=True)[0]) is not None), strict=True)  # fmt: skip
    return bool((torch.stack(first) * torch.stack(last)).abs().max() > 0)


def test_levels_have_noise_of_their_own():
    game = _game()
    latents = game.latents(2)
    parts = [game.generator.noise(latents, level).flatten(1) for level in range(3)]
    assert [part.shape[1] for part in parts] == [8, 49, 196]
    assert torch.equal(torch.cat(parts, 1), latents)


def test_images_are_built_up_from_the_smallest_level_to_the_one_that_is_reached():
    game = _game().eval()
    latents = game.latents(5)
    smallest = game.generator.levels[0](latents[:, :8])
    torch.testing.assert_close(game.decode(latents), double(double(smallest, (7, 7)), (14, 14)))
    game.reach(1, TURN)
    low = double(smallest, (7, 7))
    middle = (low + game.generator.levels[1](latents[:, 8:57].view(5, 1, 7, 7), low)).clamp(-1, 1)
    torch.testing.assert_close(game.decode(latents), double(middle, (14, 14)))
    game.reach(2, TURN)
    low = double(middle, (14, 14))
    image = low + game.generator.levels[2](latents[:, 57:].view(5, 1, 14, 14), low)
    torch.testing.assert_close(game.decode(latents), image.clamp(-1, 1))


def test_the_level_that_is_reached_is_saved_with_the_weights():
    game, resumed = _game(), _game()
    game.stages()[1].moves[0].do(TURN)
    resumed.load_state_dict(game.state_dict())
    latents = game.latents(3)
    assert torch.equal(game.eval().decode(latents), resumed.eval().decode(latents))
    assert int(resumed.reached) == 1


def test_a_sheet_shows_all_levels_of_an_image():
    game = _game().eval()
    game.reach(2, TURN)
    seed_everything(1)
    sheet = game.sheets()["pyramid"]
    seed_everything(1)
    assert sheet.shape == (8, 3, 1, 14, 14)
    assert torch.equal(sheet[:, 2], game.sample(8))
    torch.testing.assert_close(sheet[:, 0], double(double(halve(halve(sheet[:, 0])), (7, 7)), (14, 14)))


def test_more_levels_than_an_image_has_are_refused():
    assert _game(levels=2).names == ["7x7", "14x14"]
    with pytest.raises(UserError, match=r"game\.levels is 4; it must be at most 3 for images of 14 x 14"):
        _game(levels=4)
