"""What makes BEGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from textgan.data.batches import Batches
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Move, Place, Turn
from textgan.games.began import BEGAN, TINY
from textgan.reproducibility import seed_everything
from textgan.trainer import Trainer, TrainerConfig

SPEC = ImageSpec(channels=3, height=7, width=6, train_size=40)
TURN = Turn("adversarial", 0, 0.0)
REAL = torch.rand(6, *SPEC.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


class _Rows:
    """Real images to train on."""

    def __len__(self) -> int:
        return len(REAL)

    def take(self, indices: torch.Tensor) -> torch.Tensor:
        return REAL[indices]


def _game(**changes) -> BEGAN:
    seed_everything(0)
    return BEGAN(dataclasses.replace(TINY, **changes), SPEC)


def _play(game: BEGAN, real: list[float], fake: list[float]) -> None:
    """One step of each side, given what the errors are."""
    errors = iter([torch.tensor(real), torch.zeros(len(real)), torch.tensor(fake)])
    game.error = lambda images: next(errors)
    game.discriminator_loss(REAL[: len(real)], TURN)
    game.generator_loss(REAL[: len(fake)], TURN)


def test_the_error_of_an_image_is_its_own_mean_difference():
    game = _game()
    again = game.discriminator.decoder(game.discriminator.encoder(REAL))
    by_hand = [(a - x).abs().sum() / x.numel() for a, x in zip(again, REAL, strict=True)]
    torch.testing.assert_close(game.error(REAL), torch.stack(by_hand))


def test_k_follows_the_imbalance():
    game = _game(gamma=0.6, rate=0.1)
    game.k.fill_(0.5)
    _play(game, real=[0.2, 0.4], fake=[0.05, 0.03])
    game.balance()
    assert game.k.item() == pytest.approx(0.5 + 0.1 * (0.6 * 0.3 - 0.04))
    assert game.errors.abs().sum() == 0


def test_k_stays_between_nothing_and_one():
    for real, fake, end in (([9.0, 9.0], [0.0, 0.0], 1.0), ([0.0, 0.0], [9.0, 9.0], 0.0)):
        game = _game(rate=1.0)
        game.k.fill_(0.5)
        _play(game, real, fake)
        game.balance()
        assert game.k.item() == end


def test_a_batch_in_parts_moves_k_as_the_whole_batch_does():
    game = _game(gamma=0.5, rate=0.1)
    _play(game, real=[0.9], fake=[0.3])
    _play(game, real=[0.1, 0.2, 0.4], fake=[0.1, 0.1, 0.2])
    game.balance()
    assert game.k.item() == pytest.approx(0.1 * (0.5 * 0.4 - 0.175))


def test_the_discriminator_weighs_the_error_of_fakes_by_minus_k():
    game = _game()
    game.k.fill_(0.3)
    seed_everything(1)
    loss = game.discriminator_loss(REAL, TURN)
    seed_everything(1)
    fake = game.sample(len(REAL)).detach()
    torch.testing.assert_close(loss.terms["real"], game.error(REAL).mean())
    torch.testing.assert_close(loss.terms["fake"], -0.3 * game.error(fake).mean())
    sum(loss.terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())


def test_the_generator_lowers_its_error_and_tells_how_far_the_game_has_come():
    game = _game(gamma=0.5)
    game.discriminator_loss(REAL, TURN)
    seed_everything(1)
    loss = game.generator_loss(REAL, TURN)
    seed_everything(1)
    real, fake = game.error(REAL).mean(), game.error(game.sample(len(REAL))).mean()
    torch.testing.assert_close(loss.terms["error"], fake)
    torch.testing.assert_close(loss.info["M"], (real + (0.5 * real - fake).abs()).detach())
    assert not loss.info["M"].requires_grad


def test_k_moves_after_both_sides_have_moved_and_is_in_the_state():
    game = _game(batch_size=6)
    trainer = Trainer(game, Batches(_Rows(), 0), TrainerConfig(device="cpu"))
    assert [move.player for move in trainer.stages[0].moves if isinstance(move, Move)] == ["discriminator", "generator"]
    trainer.make(Place(0, 0, 0))
    assert game.k.item() == 0
    assert game.errors[0, 1].item() == game.batch_size
    trainer.make(Place(0, 0, 1))
    assert game.k.item() > 0  # real images have the larger error at first
    assert {"k", "errors"} <= set(game.state_dict())


def test_the_generator_is_built_as_the_decoder_is():
    game = _game()
    shapes = [[p.shape for p in network.parameters()] for network in (game.generator, game.discriminator.decoder)]
    assert shapes[0] == shapes[1]


def test_an_equilibrium_above_one_is_refused():
    with pytest.raises(UserError, match=r"game\.gamma is 1\.5"):
        dataclasses.replace(TINY, gamma=1.5)
