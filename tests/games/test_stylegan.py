"""What makes StyleGAN2 itself; modulation and its like are tested beside the networks."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.stylegan import TINY, StyleGAN, path_lengths
from textgan.parts.referee import TricksConfig
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 8, 8, train_size=40)
TURN = Turn("adversarial", 0, 0.0)


def _game(**changes) -> StyleGAN:
    seed_everything(0)
    return StyleGAN(dataclasses.replace(TINY, **changes), SPEC)


def _noisy(game: StyleGAN) -> StyleGAN:
    with torch.no_grad():
        for layer in game.generator.layers:
            layer.noise.fill_(1.0)
    return game


def _s(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


def test_a_path_length_is_that_of_one_images_jacobian_at_its_styles():
    """Images that are a linear map of the styles, layer by layer: the Jacobian is the map."""
    styles = torch.randn(3, 2, 5, requires_grad=True)
    maps = torch.randn(2, 5, 1 * 4 * 4)
    images = torch.einsum("nls,lsp->np", styles, maps).view(3, 1, 4, 4)
    seed_everything(1)
    found = path_lengths(images, styles)
    seed_everything(1)
    noise = torch.randn(3, 1, 4, 4) / 4
    for y, length in zip(noise.flatten(1), found, strict=True):
        slopes = [layer @ y for layer in maps]
        torch.testing.assert_close(length, ((slopes[0].square().sum() + slopes[1].square().sum()) / 2).sqrt())


def test_the_path_term_is_the_distance_from_a_running_mean_that_is_saved_with_the_weights():
    game = _game(path=3.0, path_every=5, path_decay=0.25)
    mean, real = 0.0, torch.rand(8, 1, 8, 8)
    for seed in (1, 2, 3):
        seed_everything(seed)
        found = game.path_loss(real, TURN)
        seed_everything(seed)
        styles = game.mixed(4)
        lengths = path_lengths(game.generator(styles), styles).detach()
        mean = 0.75 * mean + 0.25 * lengths.mean().item() if mean else lengths.mean().item()
        assert game.state_dict()["path_mean"].item() == pytest.approx(mean)
        expected = 3 * 5 * (lengths - mean).square().mean()
        torch.testing.assert_close(found.terms["path"].detach(), expected)


def test_the_path_term_moves_the_mapping_and_the_synthesis():
    game = _game()
    game.path_loss(torch.rand(8, 1, 8, 8), TURN).terms["path"].backward()
    weights = game.generator.mapping[1].weight, game.generator.layers[0].convolution.convolution.weight
    assert all(w.grad.abs().sum() > 0 for w in weights)


def test_lazy_terms_have_moves_of_their_own_and_are_weighted_by_their_interval():
    game, real = _game(gamma=0.5, gamma_every=16, path_every=4), torch.rand(5, 1, 8, 8)
    (stage,) = game.stages()
    assert [(m.player, m.times, m.every) for m in stage.moves] == [
        ("discriminator", 1, 1), ("discriminator", 1, 16), ("generator", 1, 1), ("generator", 1, 4)
    ]  # fmt: skip
    images = real.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(game.discriminator(images).sum(), images)
    expected = 0.5 / 2 * 16 * sum(s.square().sum() for s in slope) / 5
    torch.testing.assert_close(game.gradient_loss(real, TURN).terms["gradient"].detach(), expected)
    assert [m.player for m in _game(path=0.0).stages()[0].moves] == ["discriminator", "discriminator", "generator"]


def test_adam_is_slowed_by_the_steps_of_the_lazy_terms():
    groups = {k: o.param_groups[0] for k, o in _game(gamma_every=16, path_every=4).optimizers().items()}
    assert groups["discriminator"]["lr"] == pytest.approx(5e-3 * 16 / 17)
    assert groups["discriminator"]["betas"] == pytest.approx((0.0, 0.99 ** (16 / 17)))
    assert groups["generator"]["lr"] == pytest.approx(5e-3 * 4 / 5)
    assert groups["generator"]["betas"] == pytest.approx((0.0, 0.99 ** (4 / 5)))
    assert _game(path=0.0).optimizers()["generator"].param_groups[0]["lr"] == 5e-3


def test_a_mixed_image_has_one_style_up_to_a_layer_and_another_from_there():
    styles = _game(mixing=0.5).mixed(400)
    changes = (styles[:, 1:] != styles[:, :-1]).any(2)
    assert changes.sum(1).max() == 1
    assert changes.any(1).float().mean().item() == pytest.approx(0.5, abs=0.1)
    shares = changes.float().mean(0)
    torch.testing.assert_close(shares, torch.full_like(shares, 0.5 / len(shares)), atol=0.08, rtol=0)
    alike = _game(mixing=0.0).mixed(50)
    assert torch.equal(alike, alike[:, :1].expand_as(alike))


def test_the_game_is_non_saturating_with_mixed_styles():
    game, real = _game(), torch.rand(6, 1, 8, 8)
    seed_everything(1)
    terms = game.discriminator_loss(real, TURN).terms
    seed_everything(1)
    fake = game.generator(game.mixed(6))
    torch.testing.assert_close(terms["real"], -_s(game.discriminator(real)).log().mean())
    torch.testing.assert_close(terms["fake"], -(1 - _s(game.discriminator(fake))).log().mean())
    sum(terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())
    seed_everything(1)
    found = game.generator_loss(real, TURN).terms["adversarial"]
    torch.testing.assert_close(found, -_s(game.discriminator(fake)).log().mean())


def test_the_images_of_all_sizes_are_added_up():
    """Layers are told by silencing the images of all sizes but one."""
    game = _game()
    network, styles = game.generator, game.mixed(3)
    whole = network(styles, noise=False)
    parts = []
    for silenced in range(2):
        with torch.no_grad():
            former = network.to_image[silenced].convolution.convolution.weight.clone()
            network.to_image[silenced].convolution.convolution.weight.zero_()
            parts.append(network(styles, noise=False))
            network.to_image[silenced].convolution.convolution.weight.copy_(former)
    torch.testing.assert_close(sum(parts), whole, rtol=1e-4, atol=1e-5)
    assert all(part.abs().max() > 0.01 for part in parts)


def test_each_style_decides_something_and_the_last_only_the_last_image():
    game = _game()
    styles = torch.randn(2, game.generator.styles, 8)
    whole = game.generator(styles, noise=False)
    assert game.generator.styles == 4
    for layer in range(4):
        other = styles.clone()
        other[:, layer] += 1
        assert (game.generator(other, noise=False) - whole).abs().max() > 1e-3
    with torch.no_grad():
        game.generator.to_image[1].convolution.convolution.weight.zero_()
    assert torch.equal(game.generator(other, noise=False), game.generator(styles, noise=False))


def test_noise_differs_from_sample_to_sample_and_latents_are_decoded_without():
    game = _noisy(_game())
    latents = game.latents(3)
    styles = game.generator.map(latents)
    assert not torch.equal(game.generator(styles), game.generator(styles))
    assert torch.equal(game.decode(latents), game.decode(latents))
    with torch.no_grad():
        for layer in game.generator.layers:
            layer.noise.zero_()
    torch.testing.assert_close(game.generator(styles).clamp(-1, 1), game.decode(latents))


def test_a_place_has_one_noise_for_all_maps():
    layer = _noisy(_game()).generator.layers[0]
    with torch.no_grad():
        layer.convolution.convolution.weight.zero_()
    maps = layer(torch.randn(2, 8, 4, 4), torch.randn(2, 8), noise=True)
    assert torch.equal(maps, maps[:, :1].expand_as(maps))
    assert maps[:, 0].unique().numel() == 2 * 16


def test_truncation_draws_styles_towards_their_mean():
    game = _game()
    spread = [game.sample(64, truncation=t).std(0).mean().item() for t in (0.0, 0.5, 1.0)]
    assert spread[0] < 1e-6 < spread[1] < spread[2]


def test_a_sheet_crosses_coarse_styles_with_fine_ones():
    game = _game()
    seed_everything(1)
    sheet = game.sheets()["styles"]
    seed_everything(1)
    rows, columns = (game.generator.map(game.latents(8)) for _ in range(2))
    crossed = torch.cat([rows[3:4, :2], columns[5:6, 2:]], 1)
    torch.testing.assert_close(sheet[3, 5], game.generator(crossed, noise=False).clamp(-1, 1)[0])


def test_a_diversity_term_is_refused():
    with pytest.raises(UserError, match=r"game\.tricks\.diversity is 0\.5; .* only 0"):
        dataclasses.replace(TINY, tricks=TricksConfig(diversity=0.5))
