"""What makes EBGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.ebgan import EBGAN, TINY, pulling_away
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(channels=3, height=7, width=6, train_size=40)
TURN = Turn("adversarial", 0, 0.0)
REAL = torch.rand(6, *SPEC.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def _game(**changes) -> EBGAN:
    seed_everything(0)
    return EBGAN(dataclasses.replace(TINY, **changes), SPEC)


def test_the_energy_of_an_image_is_its_own_mean_squared_error():
    game = _game()
    energy, codes = game.energy(REAL)
    again = game.discriminator.decoder(game.discriminator.encoder(REAL))
    by_hand = [((a - x) ** 2).sum() / x.numel() for a, x in zip(again, REAL, strict=True)]
    torch.testing.assert_close(energy, torch.stack(by_hand))
    torch.testing.assert_close(codes, game.discriminator.encoder(REAL))


def test_every_fake_has_the_margin_to_itself():
    """Energies 0 and 2 m: the mean of [m - D]+ is m / 2, while the mean energy leaves nothing of the margin."""
    game = _game(margin=0.4)
    energies = iter([torch.tensor([0.1, 0.3]), torch.tensor([0.0, 0.8])])
    game.energy = lambda images: (next(energies), torch.zeros(2, 3))
    loss = game.discriminator_loss(REAL[:2], TURN)
    assert loss.terms["real"].item() == pytest.approx(0.2)
    assert loss.terms["fake"].item() == pytest.approx(0.2)
    assert loss.info["energy of fakes"].item() == pytest.approx(0.4)


def test_fakes_beyond_the_margin_are_left_alone_and_others_pushed_up():
    for margin, moves in ((1e-6, False), (100.0, True)):
        game = _game(margin=margin)
        game.discriminator_loss(REAL, TURN).terms["fake"].backward()
        slopes = [p.grad.abs().sum() for p in game.discriminator.parameters() if p.grad is not None]
        assert (sum(slopes) > 0) == moves
        assert all(p.grad is None for p in game.generator.parameters())  # fakes are held fixed


def test_pulling_away_is_the_mean_squared_cosine_of_pairs():
    seed_everything(0)
    codes = torch.randn(5, 3)
    pairs = [torch.cosine_similarity(codes[i], codes[j], dim=0) ** 2 for i in range(5) for j in range(5) if i != j]
    torch.testing.assert_close(pulling_away(codes), torch.stack(pairs).sum() / (5 * 4))
    torch.testing.assert_close(pulling_away(7 * codes), pulling_away(codes))


def test_pulling_away_is_one_for_equal_codes_and_nothing_for_orthogonal_ones():
    assert pulling_away(torch.ones(4, 3)).item() == pytest.approx(1)
    assert pulling_away(torch.eye(4)).item() == pytest.approx(0)
    assert pulling_away(torch.ones(1, 3)).item() == pytest.approx(0)


def test_the_generator_lowers_its_energy_and_pulls_its_own_codes_apart():
    game = _game(pulling_away=0.25)
    seed_everything(1)
    loss = game.generator_loss(REAL, TURN)
    seed_everything(1)
    fake = game.sample(len(REAL))
    again, codes = game.discriminator(fake)
    torch.testing.assert_close(loss.terms["energy"], (again - fake).square().mean())
    torch.testing.assert_close(loss.terms["alike"], 0.25 * pulling_away(codes))
    slopes = torch.autograd.grad(loss.terms["alike"], list(game.generator.parameters()), allow_unused=True)
    assert sum(slope.abs().sum() for slope in slopes if slope is not None) > 0


def test_without_the_term_it_is_looked_at_but_not_minimised():
    loss = _game(pulling_away=0.0).generator_loss(REAL, TURN)
    assert set(loss.terms) == {"energy"}
    assert 0 < loss.info["alike"] <= 1


def test_a_margin_of_nothing_is_refused():
    with pytest.raises(UserError, match=r"game\.margin is 0\.0"):
        dataclasses.replace(TINY, margin=0.0)
