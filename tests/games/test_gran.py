"""What makes GRAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.gran import GRAN, TINY
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 8, 8, train_size=40)


def _game(**changes) -> GRAN:
    seed_everything(0)
    return GRAN(dataclasses.replace(TINY, **changes), SPEC).eval()


def test_each_stroke_is_made_of_the_latent_and_of_the_stroke_before_and_the_image_is_of_their_sum():
    game = _game()
    network, latents = game.generator, torch.randn(5, 8)
    wanted = (latents @ network.latent.weight.T + network.latent.bias).tanh()
    first = network.decoder.body(torch.cat([wanted, torch.zeros(5, 8)], 1))
    second = network.decoder.body(torch.cat([wanted, network.encoder(first).tanh()], 1))
    third = network.decoder.body(torch.cat([wanted, network.encoder(second).tanh()], 1))
    canvases = network.canvases(latents)
    torch.testing.assert_close(canvases[:, 0], first.tanh())
    torch.testing.assert_close(canvases[:, 1], (first + second).tanh())
    torch.testing.assert_close(canvases[:, 2], (first + second + third).tanh())
    assert torch.equal(game.decode(latents), canvases[:, 2])
    assert (first - second).abs().max() > 1e-3


def test_a_painter_that_sees_nothing_repeats_its_stroke():
    game = _game(steps=4)
    with torch.no_grad():
        game.generator.encoder.output.weight.zero_()
        game.generator.encoder.output.bias.zero_()
    canvases = game.generator.canvases(torch.randn(3, 8))
    stroke = canvases[:, 0].atanh()
    for step in range(1, 4):
        torch.testing.assert_close(canvases[:, step], ((step + 1) * stroke).tanh(), rtol=1e-4, atol=1e-5)


def test_an_image_does_not_depend_on_the_others_of_its_batch():
    """Statistics of a batch would differ from step to step, and between training and sampling."""
    game = _game().train()
    latents = torch.randn(6, 8)
    torch.testing.assert_close(game.decode(latents)[:2], game.decode(latents[:2]), rtol=1e-4, atol=1e-5)


def test_the_encoder_learns_from_the_generators_loss():
    game = _game().train()
    game.generator_loss(torch.rand(8, 1, 8, 8), Turn("adversarial", 0, 0.0)).terms["adversarial"].backward()
    assert all(p.grad.abs().sum() > 0 for p in game.generator.encoder.parameters())


def test_a_sheet_shows_the_canvas_of_each_step():
    game = _game()
    seed_everything(1)
    sheet = game.sheets()["canvas"]
    seed_everything(1)
    assert sheet.shape == (8, 3, 1, 8, 8)
    assert torch.equal(sheet[:, -1], game.sample(8))


def test_one_stroke_is_refused():
    with pytest.raises(UserError, match=r"game\.steps is 1; it must be at least 2"):
        dataclasses.replace(TINY, steps=1)
