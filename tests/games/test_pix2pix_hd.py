"""What makes pix2pixHD itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from tests.games.test_every_game import SPECS, Images
from textgan.data.images.pairs import ImagePairs, PairSpec
from textgan.game import Turn
from textgan.games.pix2pix_hd import TINY, Pix2PixHD
from textgan.networks.image_patches import PatchDiscriminatorConfig
from textgan.reproducibility import seed_everything

SPEC = SPECS["image_pairs"]["same size"]
TURN = Turn("joint", 0, 0.0)


def _game(spec=SPEC, **changes: object) -> Pix2PixHD:
    seed_everything(0)
    discriminator = PatchDiscriminatorConfig(width=4, norm="instance", init_std=0.3)
    return Pix2PixHD(dataclasses.replace(TINY, discriminator=discriminator, **changes), spec)


def _pairs(spec=SPEC) -> ImagePairs:
    return Images(spec, "image_pairs").take(torch.arange(8))


def _shown(source: torch.Tensor, images: torch.Tensor, times: int) -> torch.Tensor:
    both = torch.cat([source, images], 1)
    return F.avg_pool2d(both, 2**times) if times else both


@pytest.mark.parametrize(("side", "scales"), [(4, 1), (8, 2), (16, 3), (64, 3)])
def test_there_are_as_many_scales_as_leave_4_pixels_and_3_at_most(side, scales):
    spec = PairSpec(1, side, side, 1, source_channels=1, source_height=side, source_width=side)
    assert len(_game(spec).discriminator) == scales


def test_every_scale_plays_the_least_squares_game_and_matches_what_its_layers_see():
    game, (source, real) = _game(), _pairs()
    loss = game.generate(False, (source, real), TURN)
    fake = game.generator(source)
    adversarial = matching = 0
    for k, discriminator in enumerate(game.discriminator):
        *seen, votes = discriminator.features(_shown(source, fake, k))
        *wanted, _ = discriminator.features(_shown(source, real, k))
        adversarial = adversarial + (votes - 1).square().mean()
        for one, other in zip(seen, wanted, strict=True):
            matching = matching + (one - other).abs().sum() / one.numel()
    assert len(seen) == 2
    torch.testing.assert_close(loss.terms["adversarial"], adversarial)
    torch.testing.assert_close(loss.terms["matching"], 10 * matching)


def test_no_gradient_of_the_matching_goes_through_what_is_seen_of_the_truth():
    game, (source, real) = _game(), _pairs()
    real = real.clone().requires_grad_()
    fake = torch.rand_like(source).requires_grad_()
    game.matching(source, real, fake).backward()
    assert real.grad is None
    assert fake.grad.abs().sum() > 0


def test_the_discriminators_minimise_the_sum_over_scales_of_fakes_held_fixed():
    game, (source, real) = _game(), _pairs()
    loss = game.discriminate(False, (source, real), TURN)
    fake = game.generator(source).detach()
    expected = 0
    for k, discriminator in enumerate(game.discriminator):
        votes = [discriminator(_shown(source, images, k)) for images in (real, fake)]
        expected = expected + (votes[0] - 1).square().mean() / 2 + votes[1].square().mean() / 2
    torch.testing.assert_close(sum(loss.terms.values()), expected)
    sum(loss.terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())


def test_in_the_first_stage_halves_are_judged_by_the_smaller_scales_alone():
    game, (source, real) = _game(), _pairs()
    loss = game.generate(True, (source, real), TURN)
    small = game.generator.small(source)
    votes = game.discriminator[1](torch.cat([F.avg_pool2d(source, 2), small], 1))
    torch.testing.assert_close(loss.terms["adversarial"], (votes - 1).square().mean())
    sum(loss.terms.values()).backward()
    reached = {name.split(".")[0] for name, p in game.generator.named_parameters() if p.grad is not None}
    assert reached == {"coarse", "coarse_image"}
    assert all(p.grad is None for p in game.discriminator[0].parameters())
    told_apart = game.discriminate(True, (source, real), TURN)
    votes = game.discriminator[1](F.avg_pool2d(torch.cat([source, real], 1), 2))
    torch.testing.assert_close(told_apart.terms["real"], (votes - 1).square().mean() / 2)


def test_the_global_generator_learns_then_the_local_one_then_both():
    game = _game()
    stages = game.stages()
    assert [stage.name for stage in stages] == ["global", "local", "joint"]
    assert [stage.watched for stage in stages] == [False, True, True]
    players = [stage.moves[1].player for stage in stages]
    assert players == ["global_generator", "local_generator", "generator"]
    assert [stage.moves[0].player for stage in stages] == ["discriminator"] * 3
    names = {id(p): name.split(".")[0] for name, p in game.generator.named_parameters()}
    found = {
        player: {names[id(p)] for group in optimizer.param_groups for p in group["params"]}
        for player, optimizer in game.optimizers().items()
        if player != "discriminator"
    }
    outer = {"front", "blocks", "back", "image"}
    assert found == {
        "global_generator": {"coarse", "coarse_image"},
        "local_generator": outer,
        "generator": {"coarse"} | outer,
    }


def test_a_small_source_is_enlarged_before_anybody_sees_it():
    spec = SPECS["image_pairs"]["half size"]
    game, (source, real) = _game(spec), _pairs(spec)
    large = source.repeat_interleave(2, 2).repeat_interleave(2, 3)
    for half in (False, True):
        one = game.generate(half, (source, real), TURN).terms
        other = game.generate(half, (large, real), TURN).terms
        assert {name: term.item() for name, term in one.items()} == {name: term.item() for name, term in other.items()}
