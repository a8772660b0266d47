"""What makes progressive growing itself; its networks are tested beside the networks."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from textgan.data.images.spec import ImageSpec
from textgan.game import Turn
from textgan.games.progressive import TINY, Progressive
from textgan.networks.image_pyramid import double, halve
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 14, 14, train_size=40)


def _game(**changes) -> Progressive:
    seed_everything(0)
    return Progressive(dataclasses.replace(TINY, **changes), SPEC)


def _turn(progress: float) -> Turn:
    return Turn("stage", 0, progress)


def test_each_size_is_faded_in_and_trained_and_the_last_alone_is_watched():
    stages = _game(rounds=6, level_rounds=5, fade_rounds=4).stages()
    assert [(stage.name, stage.rounds) for stage in stages] == [
        ("train_4x4", 5), ("fade_7x7", 4), ("train_7x7", 5), ("fade_14x14", 4), ("train_14x14", 6)
    ]  # fmt: skip
    assert [stage.watched for stage in stages] == [False] * 4 + [True]


def test_alpha_is_the_progress_of_a_fading_stage_and_one_in_the_others():
    game = _game()
    found = []
    for stage in game.stages():
        for progress in (0.0, 0.25):
            stage.moves[0].do(_turn(progress))
            found.append(game.growth.item())
    assert found == [0, 0, 0, 0.25, 1, 1, 1, 1.25, 2, 2]


def test_how_far_it_has_grown_is_saved_with_the_weights():
    game, resumed = _game(), _game()
    game.grow(0, True, _turn(0.25))
    resumed.load_state_dict(game.state_dict())
    latents = game.latents(4)
    assert torch.equal(game.decode(latents), resumed.decode(latents))
    assert resumed.growth.item() == 0.25


@pytest.mark.parametrize("growth", [0.0, 0.5, 1.0, 1.5, 2.0])
def test_samples_have_the_images_size_from_the_first(growth):
    game = _game()
    game.growth.fill_(growth)
    latents = game.latents(3)
    images, found = game.generator(latents, growth), game.decode(latents)
    for size in [(7, 7), (14, 14)]:
        images = double(images, size) if images.shape[2] < size[0] else images
    torch.testing.assert_close(found, images.clamp(-1, 1))


@pytest.mark.parametrize("growth", [0.0, 1.5])
def test_the_critics_loss_is_wasserstein_with_a_penalty_a_sample_and_the_drift(growth):
    game, real = _game(penalty=3.0, drift=0.5), torch.rand(6, 1, 14, 14)
    game.growth.fill_(growth)
    seed_everything(1)
    terms = game.discriminator_loss(real, _turn(0.0)).terms
    seed_everything(1)
    fake = game.generator(game.latents(6), growth).detach()
    weight = torch.rand(6, 1, 1, 1)
    shown = halve(real, 2) if growth == 0 else (double(halve(real), (14, 14)) + real) / 2
    on_real, on_fake = game.score(shown), game.score(fake)
    between = (weight * shown + (1 - weight) * fake).requires_grad_(True)
    (slope,) = torch.autograd.grad(game.score(between).sum(), between)
    torch.testing.assert_close(terms["real"], -on_real.mean())
    torch.testing.assert_close(terms["fake"], on_fake.mean())
    torch.testing.assert_close(terms["penalty"], 3 * sum((s.norm() - 1) ** 2 for s in slope) / 6)
    torch.testing.assert_close(terms["drift"], 0.5 * on_real.square().mean())


def test_the_critics_loss_holds_the_fakes_fixed_and_the_generators_raises_their_score():
    game, real = _game(), torch.rand(6, 1, 14, 14)
    sum(game.discriminator_loss(real, _turn(0.0)).terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())
    seed_everything(1)
    found = game.generator_loss(real, _turn(0.0)).terms["adversarial"]
    seed_everything(1)
    torch.testing.assert_close(found, -game.score(game.generator(game.latents(6), 0.0)).mean())


def test_layers_of_sizes_to_come_do_not_learn():
    game, real = _game(), torch.rand(6, 1, 14, 14)
    game.growth.fill_(0.5)
    sum(game.discriminator_loss(real, _turn(0.0)).terms.values()).backward()
    assert all(p.grad is None for p in game.discriminator.blocks[1].parameters())
    assert all(p.grad.abs().sum() > 0 for p in game.discriminator.blocks[0].parameters())
    assert [m[0].weight.grad is not None for m in game.discriminator.from_image] == [True, True, False]


def test_the_last_bias_is_there_where_the_drift_lets_it_learn():
    assert _game(drift=0.0).discriminator.last[-1].bias is None
    game = _game(drift=0.5)
    sum(game.discriminator_loss(torch.rand(6, 1, 14, 14), _turn(0.0)).terms.values()).backward()
    assert game.discriminator.last[-1].bias.grad.abs() > 0
