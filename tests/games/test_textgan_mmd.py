"""What makes TextGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from textgan.distances import median_distance, mmd_squared
from textgan.game import Turn
from textgan.games.textgan_mmd import TINY, TextGAN
from textgan.networks.modes import evaluating
from textgan.reproducibility import seed_everything

SPEC = SPECS["text"]["variable length"]
TURN = Turn("adversarial", 0, 0.0)
each_spec = pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])


def _game(spec=SPEC, **changes) -> TextGAN:
    seed_everything(0)
    discriminator = dataclasses.replace(TINY.discriminator, dropout=0.0)
    return TextGAN(dataclasses.replace(TINY, discriminator=discriminator, **changes), spec)


@each_spec
def test_the_generator_lowers_the_mmd_of_features_and_nothing_else(spec):
    game, real = _game(spec), _sentences(spec)[:8]
    seed_everything(3)
    loss = game._match(real, TURN)
    seed_everything(3)
    fake = game.fakes(game.codes(8), TURN)
    with evaluating(game.discriminator):
        mine = game.discriminator.features(real)
        theirs = game.discriminator.features_relaxed(fake.words, fake.lengths(spec))
    scales = torch.tensor([0.25, 0.5, 1.0, 2.0, 4.0]) * median_distance(mine)
    torch.testing.assert_close(loss.terms, {"mmd": mmd_squared(mine, theirs, scales)})


@each_spec
def test_the_discriminator_tells_apart_reads_the_code_and_raises_the_mmd(spec):
    game, real = _game(spec, reconstruction=0.3, matching=0.7), _sentences(spec)[:8]
    seed_everything(3)
    loss = game._discriminate(real, TURN)
    seed_everything(3)
    codes = game.codes(8)
    fake = game.fakes(codes, TURN)
    on_real = game.discriminator(real)
    on_fake = game.discriminator.score(game.discriminator.features_relaxed(fake.words, fake.lengths(spec)))
    torch.testing.assert_close(loss.terms["real"], -on_real[:, 0].sigmoid().log().mean())
    torch.testing.assert_close(loss.terms["fake"], -(1 - on_fake[:, 0].sigmoid()).log().mean())
    off = sum((on_fake[b, 1 + k] - codes[b, k]) ** 2 for b in range(8) for k in range(4)) / 8
    torch.testing.assert_close(loss.terms["reconstruction"], 0.3 * off)
    seed_everything(3)
    torch.testing.assert_close(loss.terms["matching"], -0.7 * game._match(real, TURN).terms["mmd"])
    assert loss.terms["matching"] < 0


def test_the_discriminators_step_raises_the_mmd_that_the_generators_step_lowers():
    game, real = _game(), _sentences(SPEC)[:16]

    def distance():
        seed_everything(4)
        return game._match(real, TURN).terms["mmd"]

    for network, sign, term in ((game.generator, -1, "mmd"), (game.discriminator, 1, "matching")):
        seed_everything(4)
        loss = (game._match if term == "mmd" else game._discriminate)(real, TURN).terms[term]
        parameters = list(network.parameters())
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        before = distance()
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    parameter -= 0.05 * gradient
        assert sign * (distance() - before) > 0


def test_the_mmd_does_not_grow_by_the_scale_of_the_features():
    game = _game()
    real, fake = torch.randn(8, 5), torch.randn(8, 5) + 1
    assert game._mmd(10 * real, 10 * fake).item() == pytest.approx(game._mmd(real, fake).item(), rel=1e-4)
