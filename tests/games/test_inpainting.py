"""What makes context encoders themselves."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from textgan.config import parse_train_command
from textgan.data.images.pairs import ImagePairs, PairSpec, with_hole
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.inpainting import TINY, Inpainting
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = PairSpec(1, 8, 8, 40, source_channels=1, source_height=8, source_width=8)
TURN = Turn("adversarial", 0, 0.0)


def _game(spec: PairSpec = SPEC) -> Inpainting:
    seed_everything(0)
    return Inpainting(TINY, spec)


def _pairs(height: int = 8, width: int = 8) -> ImagePairs:
    images = torch.rand(8, 1, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return ImagePairs(with_hole(images), images)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 14)])
def test_all_around_the_hole_every_number_is_kept_and_in_it_none(height, width):
    spec = dataclasses.replace(SPEC, height=height, width=width, source_height=height, source_width=width)
    source, target = _pairs(height, width)
    made = _game(spec).eval().sample(8, source)
    hole = (source != target).all(0)[0]
    assert hole.sum() == (height // 2) * (width // 2)
    assert torch.equal(made[:, :, ~hole], target[:, :, ~hole])
    assert (made[:, :, hole] != source[:, :, hole]).all()
    assert torch.equal(source, with_hole(target)), "what is given is left as it is"


def test_what_is_made_does_not_depend_on_what_is_hidden():
    game = _game().eval()
    _, target = _pairs()
    elsewhere = target.clone()
    elsewhere[:, :, 2:6, 2:6] *= -1
    assert torch.equal(game.sample(8, with_hole(target)), game.sample(8, with_hole(elsewhere)))


def test_the_generator_minimises_the_squared_error_in_the_hole_and_a_thousandth_of_the_game():
    game, (source, target) = _game(), _pairs()
    loss = game.generator_loss((source, target), TURN)
    made = game.generator(source)
    truth = target[:, :, 2:6, 2:6]
    assert made.shape == truth.shape
    torch.testing.assert_close(loss.terms["error"], 0.999 * (made - truth).square().mean())
    score = game.discriminator(made)
    torch.testing.assert_close(loss.terms["adversarial"], -0.001 * torch.sigmoid(score).log().mean())
    outside = target.clone()
    outside[:, :, :2] = 0.5
    again = _game().generator_loss((source, outside), TURN)
    torch.testing.assert_close(again.terms["error"], loss.terms["error"])


def test_the_discriminator_is_shown_what_is_in_the_hole_alone():
    game, (source, target) = _game(), _pairs()
    seen: list[Tensor] = []
    game.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    game.discriminator_loss((source, target), TURN)
    assert torch.equal(seen[0], target[:, :, 2:6, 2:6])
    assert seen[1].shape == seen[0].shape
    assert not seen[1].requires_grad


def test_sources_of_another_size_are_refused():
    with pytest.raises(UserError, match=r"sources have the shape \(1, 4, 4\), targets \(1, 8, 8\)"):
        _game(dataclasses.replace(SPEC, source_height=4, source_width=4))


def test_sources_have_a_hole_where_nothing_is_said():
    assert parse_train_command(find("inpainting"), [], "test").data.source == "hole"
