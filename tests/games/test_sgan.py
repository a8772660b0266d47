"""What makes SGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.sgan import SGAN, TINY
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 8, 8, train_size=40, categories=("a", "b", "c"))
TURN = Turn("stage", 0, 0.0)
REAL = LabelledImages(torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(5)), torch.arange(6) % 3)


def _game(**changes) -> SGAN:
    seed_everything(0)
    return SGAN(dataclasses.replace(TINY, **changes), SPEC)


def _s(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


def test_the_encoder_learns_first_then_each_level_from_the_top_then_all():
    game = _game(encoder_rounds=7, rounds=5, joint_rounds=4)
    assert [(stage.name, stage.rounds) for stage in game.stages()] == [
        ("encoder", 7), ("level_2", 5), ("level_1", 5), ("level_0", 5), ("joint", 4)
    ]  # fmt: skip
    assert [[move.player for move in stage.moves] for stage in game.stages()] == [
        ["encoder"],
        *[[f"discriminator_{level}", f"generator_{level}"] for level in (2, 1, 0)],
        ["discriminator", "generator"],
    ]
    assert [stage.watched for stage in game.stages()] == [False, False, False, True, True]


def test_the_encoder_learns_the_categories():
    game = _game()
    loss = game.classify(REAL, TURN)
    logits = game.encoder(REAL.image)[-1]
    by_hand = -sum(row.log_softmax(0)[k] for row, k in zip(logits, REAL.category, strict=True)) / 6
    torch.testing.assert_close(loss.terms["cross_entropy"], by_hand)


def test_what_is_true_are_the_encoders_levels_and_the_category():
    game = _game()
    images, first, second, category = game.truth(REAL)
    assert torch.equal(images, REAL.image)
    encoder = game.encoder.levels
    torch.testing.assert_close(first, encoder[0](REAL.image).relu())
    torch.testing.assert_close(second, (first @ encoder[1].weight.T + encoder[1].bias).relu())
    torch.testing.assert_close(game.encoder(REAL.image)[-1], second @ encoder[2].weight.T + encoder[2].bias)
    assert torch.equal(category, torch.eye(3)[REAL.category])
    assert not any(x.requires_grad for x in (first, second))


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_level_alone_is_given_what_is_true_above_it(level):
    game = _game().eval()
    truth = game.truth(REAL)
    seed_everything(1)
    found = game.fakes([level], truth)
    seed_everything(1)
    part = game.latents(6)[:, 8 * level : 8 * (level + 1)]
    assert found.keys() == {level}
    torch.testing.assert_close(found[level].fake, game.generator.levels[level](torch.cat([truth[level + 1], part], 1)))
    assert torch.equal(found[level].above, truth[level + 1])
    assert torch.equal(found[level].latents, part)


def test_together_each_level_is_given_the_fake_above_it_and_the_highest_the_category():
    game = _game().eval()
    seed_everything(1)
    found = game.fakes([0, 1, 2], game.truth(REAL))
    seed_everything(1)
    latents = game.latents(6)
    levels = game.generator(latents, REAL.category)
    for level in range(3):
        torch.testing.assert_close(found[level].fake, levels[level])
        torch.testing.assert_close(found[level].above, levels[level + 1].detach())
    torch.testing.assert_close(game.decode(latents, REAL.category), levels[0])
    assert torch.equal(levels[3], torch.eye(3)[REAL.category])


def test_together_the_gradient_flows_through_what_is_above_but_does_not_move_it_as_a_target():
    game = _game()
    made = game.fakes([0, 1, 2], game.truth(REAL))[0]
    assert not made.above.requires_grad
    made.fake.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in game.generator.levels[2].parameters())


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_generators_loss_has_three_terms(level):
    game = _game(conditional=2.0, entropy=3.0).eval()
    truth = game.truth(REAL)
    seed_everything(1)
    terms = game.levels_generator_loss([level], REAL, TURN).terms
    seed_everything(1)
    made = game.fakes([level], truth)[level]
    trunk = game.discriminator.trunks[level](made.fake)
    score = game.discriminator.scores[level](trunk).squeeze(1)
    torch.testing.assert_close(terms[f"adversarial/level_{level}"], -_s(score).log().mean())
    encoded = game.encoder.levels[level](made.fake)
    if level == 2:
        conditional = -sum(row.log_softmax(0)[k] for row, k in zip(encoded, REAL.category, strict=True)) / 6
    else:
        conditional = (encoded.relu() - truth[level + 1]).square().mean()
    torch.testing.assert_close(terms[f"conditional/level_{level}"], 2 * conditional)
    guess = game.discriminator.guesses[level](trunk)
    torch.testing.assert_close(terms[f"entropy/level_{level}"], 3 * (guess - made.latents).square().mean())


def test_the_entropy_term_reaches_the_generator_and_q():
    game = _game()
    game.levels_generator_loss([1], REAL, TURN).terms["entropy/level_1"].backward()
    assert all(p.grad.abs().sum() > 0 for p in game.generator.levels[1].parameters())
    game.zero_grad()
    game.levels_loss([1], REAL, TURN).terms["entropy/level_1"].backward()
    assert all(p.grad.abs().sum() > 0 for p in game.discriminator.guesses[1].parameters())
    assert all(p.grad.abs().sum() > 0 for p in game.discriminator.trunks[1].parameters())
    assert all(p.grad is None for p in game.generator.parameters())


def test_a_discriminators_loss_is_of_the_true_level_and_of_fakes():
    game = _game().eval()
    truth = game.truth(REAL)
    seed_everything(1)
    terms = game.levels_loss([0, 1, 2], REAL, TURN).terms
    seed_everything(1)
    fakes = game.fakes([0, 1, 2], truth)
    for level in range(3):
        on_real, on_fake = (game.discriminator.score(level, x) for x in (truth[level], fakes[level].fake))
        torch.testing.assert_close(terms[f"real/level_{level}"], -_s(on_real).log().mean())
        torch.testing.assert_close(terms[f"fake/level_{level}"], -(1 - _s(on_fake)).log().mean())


def test_the_encoder_is_asked_and_not_changed_once_it_has_learned():
    """Not even the statistics of a batch norm."""
    game = _game(encoder=ImageDiscriminatorConfig(width=8, norm="batch", dropout=0.5))
    before = {name: tensor.clone() for name, tensor in game.encoder.state_dict().items()}
    game.levels_loss([0, 1, 2], REAL, TURN)
    game.levels_generator_loss([0, 1, 2], REAL, TURN)
    assert all(torch.equal(before[name], tensor) for name, tensor in game.encoder.state_dict().items())
    assert torch.equal(game.truth(REAL)[1], game.truth(REAL)[1])
    assert game.encoder.training


def test_a_sheets_row_differs_by_the_latents_of_the_lowest_level_alone():
    game = _game().eval()
    seed_everything(1)
    sheet = game.sheets()["levels"]
    seed_everything(1)
    latents = game.latents(64)
    row = torch.cat([latents[16:24, :8], latents[16, 8:].expand(8, -1)], 1)
    torch.testing.assert_close(sheet[2], game.decode(row, torch.full((8,), 2)))
    assert not torch.equal(sheet[2, 0], sheet[2, 1])


@pytest.mark.parametrize("features", [(), (8, 1)])
def test_features_that_are_none_are_refused(features):
    with pytest.raises(UserError, match=r"game\.features is \(.*\); it must be at least one number, each at least 2"):
        dataclasses.replace(TINY, features=features)


def test_images_of_a_category_are_made_of_it():
    """The latents being equal; in train mode, where batch norm makes much of the little that weights of 0.02 do."""
    game = _game()
    images = game.decode(game.latents(1).expand(3, -1), torch.arange(3))
    assert F.pdist(images.flatten(1)).min() > 1e-3
