"""What image-to-image games share: who is shown what, and what each side minimises."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from textgan.data.images.pairs import ImagePairs
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.losses import OBJECTIVES
from textgan.parts.referee import TricksConfig
from textgan.parts.translation_game import (
    TranslationConfig,
    TranslationGame,
    beside,
    distance,
    squared_distance,
)
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 4, 4, train_size=8)
TURN = Turn("adversarial", 0, 0.0)


class Small(TranslationGame):
    """Two judges, one of which is shown the source, and something to keep."""

    def make_generator(self) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Tanh())

    def make_discriminator(self) -> nn.Module:
        return nn.ModuleList([nn.Conv2d(1, 1, 2), nn.Conv2d(2, 1, 4)])

    def judges(self, source: Tensor):
        return [self.discriminator[0], lambda images: self.discriminator[1](beside(source, images))]

    def likeness(self, fake: Tensor, source: Tensor, real: Tensor) -> dict[str, Tensor]:
        return {"kept": 3 * distance(fake, source)}


def _game(**changes: object) -> Small:
    seed_everything(0)
    return Small(dataclasses.replace(TranslationConfig(batch_size=8, rounds=2), **changes), SPEC)


def _batch() -> ImagePairs:
    generator = torch.Generator().manual_seed(1)
    return ImagePairs(*(torch.rand(8, 1, 4, 4, generator=generator) * 2 - 1 for _ in range(2)))


@pytest.mark.parametrize("together", [False, True])
def test_discriminators_minimise_the_sum_of_their_losses_of_fakes_that_are_held_fixed(together):
    game, (source, real) = _game(tricks=TricksConfig(together=together)), _batch()
    loss = game.discriminator_loss((source, real), TURN)
    fake = game.generator(source)
    expected = torch.zeros(2)
    for judge in (game.discriminator[0], lambda x: game.discriminator[1](torch.cat([source, x], 1))):
        expected = expected + torch.stack(OBJECTIVES["standard"].discriminator(judge(real), judge(fake)))
    torch.testing.assert_close(torch.stack([loss.terms["real"], loss.terms["fake"]]), expected)
    torch.testing.assert_close(loss.info["value"], -expected.sum() / 2)
    sum(loss.terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())


def test_the_generator_minimises_what_deceives_all_of_them_weighted_and_what_it_keeps():
    game, (source, real) = _game(adversarial=0.25), _batch()
    loss = game.generator_loss((source, real), TURN)
    fake = game.generator(source)
    scores = [game.discriminator[0](fake), game.discriminator[1](torch.cat([source, fake], 1))]
    expected = 0.25 * sum(-torch.sigmoid(s).log().mean() for s in scores)
    assert list(loss.terms) == ["adversarial", "kept"]
    torch.testing.assert_close(loss.terms["adversarial"], expected)
    torch.testing.assert_close(loss.terms["kept"], 3 * (fake - source).abs().mean())
    parameters = list(game.generator.parameters())
    for one, other in zip(
        torch.autograd.grad(loss.terms["adversarial"], parameters),
        torch.autograd.grad(expected, parameters),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
        assert one.abs().sum() > 0


def test_a_round_is_the_discriminators_steps_and_one_of_the_generator():
    (stage,) = _game(discriminator_steps=3).stages()
    assert [(move.player, move.times) for move in stage.moves] == [("discriminator", 3), ("generator", 1)]


def test_a_source_stands_before_each_image_that_is_made_of_it():
    source, images = torch.rand(2, 3, 2, 2), torch.rand(4, 1, 4, 4)
    found = beside(source, images)
    assert found.shape == (4, 4, 4, 4)
    assert torch.equal(found[:, 3:], images)
    for row in range(4):
        assert torch.equal(found[row, :3], source[row % 2].repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_distances_are_means_over_numbers():
    made, wanted = torch.tensor([[1.0, -1.0]]), torch.tensor([[0.0, 2.0]])
    assert distance(made, wanted).item() == 2
    assert squared_distance(made, wanted).item() == 5


def test_a_trick_that_needs_latents_is_refused():
    with pytest.raises(UserError, match=r"tricks.diversity is 0.1; without latent vectors it must be 0"):
        TranslationConfig(tricks=TricksConfig(diversity=0.1))
