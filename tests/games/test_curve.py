"""What makes the game of the artist's curves itself."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from textgan.config import parse_train_command
from textgan.data.batches import Batches
from textgan.data.series import SeriesConfig, SeriesSpec, open_series
from textgan.game import Turn
from textgan.games.curve import EQUILIBRIUM, TINY, Config, CurveGame
from textgan.registry import find
from textgan.reproducibility import seed_everything
from textgan.trainer import Trainer, TrainerConfig

CURVES = SeriesSpec(length=15, channels=1, train_size=100)
TWO = SeriesSpec(length=6, channels=2, train_size=40)
START = Turn("adversarial", 0, 0.0)


def _game(spec: SeriesSpec = TWO, **changes: object) -> CurveGame:
    seed_everything(0)
    return CurveGame(dataclasses.replace(TINY, **changes), spec)


def _odds(game: CurveGame, windows: Tensor) -> Tensor:
    """D by hand: a window as 12 numbers, one hidden layer, a logit."""
    _, first, _, last, _ = game.discriminator
    hidden = (windows.reshape(len(windows), -1) @ first.weight.T + first.bias).clamp(min=0)
    return (hidden @ last.weight.T + last.bias)[:, 0]


def test_it_is_played_on_curves_by_networks_of_5_128_15_and_15_128_1():
    command = parse_train_command(find("curve"), [], "test")
    assert command.corpus == "curves"
    game = CurveGame(command.game, CURVES)
    shapes = {name: tuple(p.shape) for name, p in game.named_parameters() if name.endswith("weight")}
    assert list(shapes.values()) == [(128, 5), (15, 128), (128, 15), (1, 128)]
    assert (game.batch_size, command.game.latent) == (64, 5)
    for optimizer in game.optimizers().values():
        assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (1e-4, (0.9, 0.999))


def test_a_painting_is_a_linear_map_of_rectified_units():
    game = _game()
    latents = game.latents(3)
    first, _, last, _ = game.generator
    expected = (latents @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias
    painted = game.decode(latents)
    torch.testing.assert_close(painted.reshape(3, 12), expected)
    torch.testing.assert_close(painted[1, 2, 1], expected[1, 5])  # step by step, the channels of a step together


@pytest.mark.parametrize("loss", ["saturating", "standard"])
def test_one_maximises_the_value_and_the_other_minimises_it_or_flees(loss):
    game = _game(loss=loss)
    real = torch.randn(6, 6, 2)
    seed_everything(1)
    found = game.discriminator_loss(real, START)
    seed_everything(1)
    fake = game.sample(6)
    on_real, on_fake = (1 / (1 + (-_odds(game, x)).exp()) for x in (real, fake))
    value = on_real.log().mean() + (1 - on_fake).log().mean()
    torch.testing.assert_close(sum(found.terms.values()), -value)
    torch.testing.assert_close(found.info["value/game"], value)
    right = ((on_real > 0.5).float().mean() + (on_fake < 0.5).float().mean()) / 2
    torch.testing.assert_close(found.info["accuracy/game"], right)
    seed_everything(1)
    generated = game.generator_loss(real, START).terms["adversarial"]
    expected = (1 - on_fake).log().mean() if loss == "saturating" else -on_fake.log().mean()
    torch.testing.assert_close(generated, expected)


def test_the_value_is_the_equilibriums_where_the_critic_knows_nothing():
    game = _game()
    last = game.discriminator[3]
    for parameter in (last.weight, last.bias):
        torch.nn.init.zeros_(parameter)
    info = game.discriminator_loss(torch.randn(6, 6, 2), START).info
    assert info["value/equilibrium"].item() == pytest.approx(-2 * math.log(2))
    torch.testing.assert_close(info["value/game"], info["value/equilibrium"])
    assert info["accuracy/equilibrium"] == 0.5
    assert set(info) == {f"{figure}/{line}" for figure in EQUILIBRIUM for line in ("game", "equilibrium")}


def test_no_critic_raises_the_value_above_the_equilibriums_where_the_novice_is_the_artist():
    """Fakes are the real windows themselves: E log D + E log(1 - D) is at most -2 ln 2, whatever D is."""
    game = _game()
    real = torch.randn(16, 6, 2)
    game.decode = lambda latents: real[: len(latents)]
    for scale in (0.1, 1.0, 10.0):
        torch.nn.init.normal_(game.discriminator[3].weight, std=scale)
        info = game.discriminator_loss(real, START).info
        assert info["value/game"] < info["value/equilibrium"]
        assert info["accuracy/game"] == 0.5


@pytest.mark.slow
def test_the_game_comes_to_the_equilibrium():
    """About a minute: parabolas, a value near -2 ln 2 and an accuracy near one half in the last quarter."""
    corpus = open_series("curves", SeriesConfig())
    seed_everything(0)
    game = CurveGame(Config(), corpus.spec)
    records = []
    Trainer(game, Batches(corpus.train, 0), TrainerConfig(device="cpu"), log=records.append).play()
    losses = [r["values"] for r in records if r["kind"] == "loss" and r["player"] == "discriminator"]
    last = losses[-len(losses) // 4 :]
    mean = {name: sum(values[f"{name}/game"] for values in last) / len(last) for name in EQUILIBRIUM}
    assert mean["value"] == pytest.approx(EQUILIBRIUM["value"], abs=0.02)
    assert mean["accuracy"] == pytest.approx(0.5, abs=0.15)
    with torch.no_grad():
        painted = game.eval().sample(500)[:, :, 0]
    x = torch.linspace(-1, 1, 15)
    a = painted.mean(1, keepdim=True).add(1) / (1 + x.square().mean())  # the parabola of each one's mean
    assert (painted - (a * x.square() + a - 1)).abs().mean() < 0.1
    assert 1 < a.mean() < 2
    assert a.std() > 0.15  # U(1, 2) has 0.29
