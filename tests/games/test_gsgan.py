"""What makes GSGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from textgan.game import Turn
from textgan.games.gsgan import GSGAN, TINY
from textgan.networks.modes import evaluating
from textgan.relaxation import relaxed_sample
from textgan.reproducibility import seed_everything

SPEC = SPECS["text"]["variable length"]


def _game(**changes) -> GSGAN:
    seed_everything(0)
    return GSGAN(dataclasses.replace(TINY, **changes), SPEC)


def test_the_temperature_falls_geometrically_from_first_to_last():
    game = _game(first_temperature=4.0, last_temperature=0.25)
    found = [game._temperature(Turn("adversarial", 0, progress)) for progress in (0.0, 0.25, 0.5, 1.0)]
    assert found == pytest.approx([4.0, 2.0, 1.0, 0.25])


@pytest.mark.parametrize("feedback", ["soft", "hard"])
def test_fakes_are_relaxed_at_the_turns_temperature_and_read_as_said(feedback):
    game = _game(feedback=feedback)
    turn = Turn("adversarial", 1, 0.5)
    seed_everything(1)
    fake = game.fakes(6, turn)
    seed_everything(1)
    with evaluating(game.generator):
        expected = relaxed_sample(
            game.generator, SPEC, 6, (TINY.first_temperature * TINY.last_temperature) ** 0.5, feedback
        )
    assert torch.equal(fake.words, expected.words)


def test_one_hot_words_are_what_real_ones_look_like_with_the_mixtures_gradient():
    turn = Turn("adversarial", 0, 0.0)
    seed_everything(1)
    soft = _game().fakes(20, turn)
    seed_everything(1)
    game = _game(one_hot_words=True)
    fake = game.fakes(20, turn)
    written = fake.tokens != SPEC.pad
    assert torch.equal(fake.tokens, soft.tokens)
    assert (~written).any()
    assert fake.words[~written].abs().sum() == 0
    expected = torch.nn.functional.one_hot(fake.tokens[written], SPEC.vocab_size).float()
    torch.testing.assert_close(fake.words[written], expected)
    weights = torch.randn(fake.words.shape)
    (gradient,) = torch.autograd.grad((fake.words * weights).sum(), game.generator.output.weight)
    assert gradient.abs().sum() > 0


def test_the_generators_loss_falls_along_its_gradient_and_rises_against_it():
    game = _game()
    real, turn = _sentences(SPEC)[:16], Turn("adversarial", 0, 0.0)

    def loss():
        seed_everything(3)
        return game._deceive(real, turn).terms["adversarial"]

    before = loss()
    gradients = torch.autograd.grad(before, list(game.generator.parameters()))
    square = sum(g.square().sum() for g in gradients)
    step = 0.01 / square.sqrt()
    for sign in (-1, 1):
        with torch.no_grad():
            for parameter, gradient in zip(game.generator.parameters(), gradients, strict=True):
                parameter += sign * step * gradient
            moved = loss() - before
            for parameter, gradient in zip(game.generator.parameters(), gradients, strict=True):
                parameter -= sign * step * gradient
        assert moved.item() == pytest.approx(sign * (step * square).item(), rel=0.1)
