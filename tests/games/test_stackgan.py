"""What makes StackGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from tests.games.test_every_game import SPECS, Images
from textgan.config import parse_train_command
from textgan.data.images.captions import CaptionedImages
from textgan.game import Act, Move, Turn
from textgan.games.stackgan import TINY, StackGAN
from textgan.networks.image_pyramid import double
from textgan.networks.modes import evaluating
from textgan.parts.caption_game import others
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = SPECS["captioned_images"]["grey"]
START = Turn("stage_one", 0, 0.0)
REAL: CaptionedImages = Images(SPEC, "captioned_images").take(torch.arange(8))  # type: ignore[assignment]


def _game(**changes: object) -> StackGAN:
    seed_everything(0)
    return StackGAN(dataclasses.replace(TINY, **changes), SPEC)


def test_the_sketch_learns_first_and_is_fixed_when_it_is_refined():
    game = _game()
    one, two = game.stages()
    assert [stage.name for stage in (one, two)] == ["stage_one", "stage_two"]
    assert [stage.watched for stage in (one, two)] == [False, True]
    players = [[move.player for move in stage.moves if isinstance(move, Move)] for stage in (one, two)]
    assert players == [["discriminator_one", "generator_one"], ["discriminator_two", "generator_two"]]
    assert all(isinstance(stage.moves[0], Act) for stage in (one, two))


@pytest.mark.parametrize("stage", [0, 1])
def test_the_discriminators_loss_is_that_of_real_pairs_fakes_and_wrong_captions(stage):
    """By hand; the first stage sees means of 2 x 2 pixels."""
    game = _game()
    seed_everything(1)
    loss = game.stage_loss(stage, REAL, START)
    seed_everything(1)
    image = REAL.image if stage else REAL.image.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    with torch.no_grad():
        fake = game.paint(stage, REAL.caption).images
    assert fake.shape == image.shape == (8, 1, *((8, 8) if stage else (4, 4)))
    network = game.discriminator[stage]
    wrong = REAL.caption[others(REAL.caption)]
    assert not (wrong == REAL.caption).all(1).any()
    torch.testing.assert_close(loss.terms["real"], -F.logsigmoid(network(image, REAL.caption)).mean())
    torch.testing.assert_close(loss.terms["fake"], -F.logsigmoid(-network(fake, REAL.caption)).mean() / 2)
    torch.testing.assert_close(loss.terms["wrong"], -F.logsigmoid(-network(image, wrong)).mean() / 2)


@pytest.mark.parametrize("stage", [0, 1])
def test_the_generators_loss_is_adversarial_and_the_divergence_of_its_condition(stage):
    game = _game(augmentation=2.0)
    seed_everything(1)
    loss = game.stage_generator_loss(stage, REAL, START)
    seed_everything(1)
    painted = game.paint(stage, REAL.caption)
    votes = game.discriminator[stage](painted.images, REAL.caption)
    torch.testing.assert_close(loss.terms["adversarial"], -F.logsigmoid(votes).mean())
    mean, log_variance = painted.condition
    by_number = (mean.square() + log_variance.exp() - 1 - log_variance) / 2
    torch.testing.assert_close(loss.terms["augmentation"], 2 * by_number.mean())
    assert set(loss.terms) == {"adversarial", "augmentation"}


def test_the_refinement_begins_with_what_the_sketch_makes_when_it_is_sampled_from():
    """Neither a gradient nor batch norm's running means move the sketch in the second stage."""
    game = _game()
    sketch = game.generator[0]
    before = {name: value.clone() for name, value in sketch.state_dict().items()}
    game.stage_loss(1, REAL, START)
    game.requires_grad_(True)
    sum(game.stage_generator_loss(1, REAL, START).terms.values()).backward()
    assert all(torch.equal(value, before[name]) for name, value in sketch.state_dict().items())
    assert sketch.training
    assert all(p.grad is None for p in sketch.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in game.generator[1].parameters())
    seed_everything(3)
    painted = game.paint(1, REAL.caption)
    seed_everything(3)
    latents = game.latents(8)
    with evaluating(sketch):
        low = sketch(latents, REAL.caption).images
    torch.testing.assert_close(painted.images, game.generator[1](low, REAL.caption).images)


def test_images_are_the_sketch_enlarged_until_it_is_refined():
    game = _game().eval()
    first, second = (stage.moves[0] for stage in game.stages())
    first.do(START)
    seed_everything(2)
    images = game.sample(8, REAL.caption)
    assert torch.equal(images, double(images[:, :, ::2, ::2], (8, 8)))
    second.do(START)
    seed_everything(2)
    refined = game.sample(8, REAL.caption)
    assert refined.shape == images.shape
    assert not torch.equal(refined, double(refined[:, :, ::2, ::2], (8, 8)))
    assert "reached" in game.state_dict()


def test_an_image_is_that_of_its_own_caption():
    """In eval mode neither the order nor the company of captions matters: each row is its own."""
    game = _game().eval()
    game.reach(1, START)
    with torch.no_grad():
        for network in game.generator:
            network.condition.map.bias[8:] = -60  # as good as no deviation
    latents = game.latents(8)
    images = game.decode(latents, REAL.caption)
    order = torch.tensor([3, 0, 7, 5])
    torch.testing.assert_close(game.decode(latents[order], REAL.caption[order]), images[order])


def test_the_preset_has_the_papers_sizes():
    config = parse_train_command(find("stackgan"), ["--preset", "stackgan-mnist_5000"], "test").game
    assert (config.latent, config.captions.condition, config.blocks, config.batch_size) == (100, 128, 4, 64)
    game = StackGAN(config, dataclasses.replace(SPEC, height=28, width=28))
    assert game.optimizers()["generator_one"].param_groups[0]["lr"] == 2e-4
    assert game.small.shape == (1, 14, 14)
