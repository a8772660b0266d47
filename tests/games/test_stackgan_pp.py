"""What makes StackGAN++ itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from tests.games.test_every_game import SPECS, Images
from textgan.config import parse_train_command
from textgan.data.images.captions import CaptionedImages
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.stackgan_pp import TINY, StackGANpp, colours, colours_apart
from textgan.parts.caption_game import others
from textgan.registry import find
from textgan.reproducibility import seed_everything

GREY, COLOUR = SPECS["captioned_images"].values()
START = Turn("adversarial", 0, 0.0)


def _game(spec=GREY, **changes: object) -> StackGANpp:
    seed_everything(0)
    return StackGANpp(dataclasses.replace(TINY, **changes), spec)


def _real(spec=GREY) -> CaptionedImages:
    return Images(spec, "captioned_images").take(torch.arange(8))  # type: ignore[return-value]


def test_one_stage_has_one_generator_and_discriminators_of_all_sizes():
    game = _game()
    (stage,) = game.stages()
    assert [move.player for move in stage.moves] == ["discriminator", "generator"]
    assert game.sizes == [(4, 4), (8, 8)]
    own = {id(p) for p in game.optimizers()["discriminator"].param_groups[0]["params"]}
    assert own == {id(p) for network in game.discriminator for p in network.parameters()}


def test_sizes_are_three_at_most_or_as_many_as_are_asked_for():
    large = dataclasses.replace(GREY, height=64, width=48)
    assert _game(large).sizes == [(16, 12), (32, 24), (64, 48)]
    assert _game(large, levels=5).sizes[0] == (4, 3)
    with pytest.raises(UserError, match=r"game.levels is 3; it must be at most 2 for images of 8 x 8"):
        _game(levels=3)


def test_discriminators_have_two_votes_and_wrong_captions_concern_one_of_them():
    """Equation 5, by hand, a sum over sizes."""
    game, real = _game(), _real()
    seed_everything(1)
    loss = game.discriminator_loss(real, START)
    seed_everything(1)
    with torch.no_grad():
        fakes, _ = game.generator(game.latents(8), real.caption)
    small = real.image.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    expected = dict.fromkeys(("real", "fake", "wrong"), torch.zeros(()))
    for network, image, fake in zip(game.discriminator, (small, real.image), fakes, strict=True):
        expected["real"] = expected["real"] - F.logsigmoid(network(image, real.caption)).sum(1).mean()
        expected["fake"] = expected["fake"] - F.logsigmoid(-network(fake, real.caption)).sum(1).mean()
        of_wrong = network(image, real.caption[others(real.caption)])
        assert of_wrong.shape == (8, 2)
        expected["wrong"] = expected["wrong"] - F.logsigmoid(-of_wrong[:, 0]).mean()
    for name, value in expected.items():
        torch.testing.assert_close(loss.terms[name], value)
    assert set(loss.terms) == set(expected)


def test_the_generator_wants_every_vote_of_every_size():
    """Equation 6, by hand."""
    game, real = _game(), _real()
    seed_everything(1)
    loss = game.generator_loss(real, START)
    seed_everything(1)
    fakes, (mean, log_variance) = game.generator(game.latents(8), real.caption)
    votes = [network(fake, real.caption) for network, fake in zip(game.discriminator, fakes, strict=True)]
    torch.testing.assert_close(loss.terms["adversarial"], -sum(F.logsigmoid(v).sum(1).mean() for v in votes))
    by_number = (mean.square() + log_variance.exp() - 1 - log_variance) / 2
    torch.testing.assert_close(loss.terms["augmentation"], by_number.mean())


class TestColours:
    def test_they_are_a_mean_and_a_covariance_over_pixels(self):
        images = torch.rand(2, 3, 4, 5)
        mean, covariance = colours(images)
        for image, m, s in zip(images, mean, covariance, strict=True):
            pixels = image.flatten(1)
            torch.testing.assert_close(m, pixels.mean(1))
            torch.testing.assert_close(s, torch.cov(pixels, correction=0))

    def test_the_distance_is_that_of_equations_7_and_8(self):
        large, small = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 4, 4)
        by_hand = 0.0
        for x, y in zip(large, small, strict=True):
            pixels = [x.flatten(1), y.flatten(1)]
            means = [p.mean(1) for p in pixels]
            covariances = [
                sum(torch.outer(c - m, c - m) for c in p.T) / p.shape[1] for p, m in zip(pixels, means, strict=True)
            ]
            by_hand += ((means[0] - means[1]) ** 2).sum() + 5 * ((covariances[0] - covariances[1]) ** 2).sum()
        torch.testing.assert_close(colours_apart(large, small), by_hand / 2)

    def test_an_image_has_the_colours_of_itself_enlarged_or_stirred_and_of_no_other(self):
        small = torch.rand(3, 3, 4, 4)
        assert colours_apart(small.repeat_interleave(2, 2).repeat_interleave(2, 3), small).item() < 1e-10
        assert colours_apart(small.flip(2), small).item() < 1e-10
        assert colours_apart(small.flip(1), small).item() > 1e-3  # red for blue

    def test_the_term_is_there_for_colour_and_only_for_colour(self):
        assert "colour" not in _game().generator_loss(_real(), START).terms
        game, real = _game(COLOUR), _real(COLOUR)
        seed_everything(1)
        loss = game.generator_loss(real, START)
        seed_everything(1)
        fakes, _ = game.generator(game.latents(8), real.caption)
        torch.testing.assert_close(loss.terms["colour"], 50 * colours_apart(fakes[1], fakes[0]))
        assert "colour" not in _game(COLOUR, colour=0.0).generator_loss(real, START).terms


def test_samples_are_of_the_largest_size_and_of_their_captions():
    game, real = _game().eval(), _real()
    with torch.no_grad():
        game.generator.condition.map.bias[8:] = -60  # as good as no deviation
    latents = game.latents(8)
    images = game.decode(latents, real.caption)
    assert images.shape == (8, 1, 8, 8)
    order = torch.tensor([6, 1, 4])
    torch.testing.assert_close(game.decode(latents[order], real.caption[order]), images[order])
    assert not torch.allclose(game.decode(latents, real.caption.roll(1, 0)), images, atol=1e-5)


def test_the_preset_has_the_papers_sizes():
    config = parse_train_command(find("stackgan_pp"), ["--preset", "stackgan_pp-mnist_5000"], "test").game
    assert (config.latent, config.captions.condition, config.blocks, config.batch_size) == (100, 128, 2, 24)
    assert config.optimizers.generator == config.optimizers.discriminator == 2e-4
    assert StackGANpp(config, dataclasses.replace(GREY, height=28, width=28)).sizes == [(7, 7), (14, 14), (28, 28)]
