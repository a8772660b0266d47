"""What makes zi2zi itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from tests.games.test_every_game import SPECS, Images
from textgan.config import parse_train_command
from textgan.data.images.glyphs import Glyphs
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.zi2zi import TINY, Zi2zi
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = SPECS["glyphs"]["glyphs"]
START = Turn("adversarial", 0, 0.0)
REAL: Glyphs = Images(SPEC, "glyphs").take(torch.arange(6))  # type: ignore[assignment]


def _game(**changes: object) -> Zi2zi:
    seed_everything(0)
    return Zi2zi(dataclasses.replace(TINY, **changes), SPEC)


def _said(game: Zi2zi, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The discriminator's score and styles of images beside their sources."""
    said = game.discriminator(torch.cat([REAL.source, images], 1))
    return said[:, 0], said[:, 1:].log_softmax(1)


def _style_error(styles: torch.Tensor) -> torch.Tensor:
    return -sum(row[k] for row, k in zip(styles, REAL.style.tolist(), strict=True)) / len(styles)


def test_the_discriminator_tells_fakes_apart_and_names_the_styles_of_both():
    game = _game(style_weight=3.0)
    with torch.no_grad():
        fake = game.generator(REAL.source, REAL.style)
    loss = game.discriminator_loss(REAL, START)
    (of_real, styles_real), (of_fake, styles_fake) = _said(game, REAL.target), _said(game, fake)
    torch.testing.assert_close(loss.terms["real"], -F.logsigmoid(of_real).mean())
    torch.testing.assert_close(loss.terms["fake"], -F.logsigmoid(-of_fake).mean())
    torch.testing.assert_close(loss.terms["style_real"], 3 * _style_error(styles_real) / 2)
    torch.testing.assert_close(loss.terms["style_fake"], 3 * _style_error(styles_fake) / 2)
    right = sum(int(row.argmax()) == k for row, k in zip(styles_real, REAL.style.tolist(), strict=True)) / 6
    assert loss.info["style_accuracy"].item() == pytest.approx(right)


def test_the_generator_deceives_is_near_the_truth_keeps_the_code_and_has_the_style():
    game = _game()
    loss = game.generator_loss(REAL, START)
    fake = game.generator(REAL.source, REAL.style)
    score, styles = _said(game, fake)
    torch.testing.assert_close(loss.terms["adversarial"], -F.logsigmoid(score).mean())
    torch.testing.assert_close(loss.terms["distance"], 100 * (fake - REAL.target).abs().mean())
    codes = [game.generator.code(images) for images in (REAL.source, fake)]
    torch.testing.assert_close(loss.terms["constancy"], 15 * ((codes[0] - codes[1]) ** 2).mean())
    torch.testing.assert_close(loss.terms["style"], _style_error(styles))
    assert set(loss.terms) == {"adversarial", "distance", "constancy", "style"}


def test_constancy_teaches_the_way_down_and_through_the_image_the_way_up():
    """Nothing is held fixed: the code of the source and that of what is drawn of it approach each other."""
    game = _game()
    game.generator_loss(REAL, START).terms["constancy"].backward()
    for part in (game.generator.body.down, game.generator.body.up, game.generator.table):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    once = _game()
    fake = once.generator(REAL.source, REAL.style)
    codes = [once.generator.code(images) for images in (REAL.source, fake)]
    (15 * (codes[0] - codes[1]).square().mean()).backward()
    slopes = [g.generator.body.down[-1][1].weight.grad for g in (game, once)]
    torch.testing.assert_close(*slopes)


def test_no_gradient_of_the_discriminators_loss_reaches_the_generator():
    game = _game()
    sum(game.discriminator_loss(REAL, START).terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())
    assert all(p.grad is not None for p in game.discriminator.parameters())


def test_the_discriminator_is_shown_the_source():
    game = _game().eval()
    scores = game.scores(REAL.source)(REAL.target)
    assert not torch.allclose(game.scores(REAL.source.flip(3))(REAL.target), scores, atol=1e-6)


def test_samples_are_drawn_in_the_style_that_is_asked_for():
    game = _game().eval()
    mixed = game.sample(6, REAL.source, REAL.style)
    for style in range(3):
        rows = REAL.style == style
        torch.testing.assert_close(mixed[rows], game.sample(6, REAL.source, torch.full((6,), style))[rows])
    assert not torch.allclose(mixed, game.sample(6, REAL.source, (REAL.style + 1) % 3), atol=1e-7)


def test_without_dropout_two_samples_are_equal():
    game = _game().eval()
    assert torch.equal(game.sample(6, REAL.source, REAL.style), game.sample(6, REAL.source, REAL.style))


def test_weights_below_zero_are_refused():
    with pytest.raises(UserError, match=r"game.constancy is -1.0; it must be at least 0"):
        _game(constancy=-1.0)


def test_the_preset_has_the_originals_sizes():
    config = parse_train_command(find("zi2zi"), ["--preset", "zi2zi-fonts"], "test")
    assert (config.game.style, config.game.generator.width, config.game.discriminator.width) == (128, 64, 64)
    assert (config.game.distance, config.game.constancy, config.game.style_weight) == (100, 15, 1)
    assert config.data.size == 64
