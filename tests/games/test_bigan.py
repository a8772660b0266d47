"""What makes BiGAN itself."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F

from textgan.data.images.spec import ImageSpec
from textgan.game import Turn
from textgan.games.bigan import TINY, BiGAN
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(channels=3, height=7, width=6, train_size=40)
TURN = Turn("adversarial", 0, 0.0)
REAL = torch.rand(6, *SPEC.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def _game(**changes) -> BiGAN:
    seed_everything(0)
    return BiGAN(dataclasses.replace(TINY, **changes), SPEC)


def _logits(game: BiGAN, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of (x, E(x)) and of (G(z), z), with the latents that a loss draws from this seed."""
    seed_everything(seed)
    z = game.latents(len(REAL))
    return game.discriminator(REAL, game.encoder(REAL)), game.discriminator(game.generator(z), z)


def test_the_discriminator_tells_images_with_their_codes_from_codes_with_their_images():
    game = _game()
    seed_everything(1)
    loss = game.discriminator_loss(REAL, TURN)
    of_real, of_fake = _logits(game, 1)
    torch.testing.assert_close(loss.terms["real"], -torch.sigmoid(of_real).log().mean())
    torch.testing.assert_close(loss.terms["fake"], -(1 - torch.sigmoid(of_fake)).log().mean())


def test_generator_and_encoder_have_the_same_loss_with_the_labels_exchanged():
    game = _game()
    seed_everything(1)
    loss = game.generator_loss(REAL, TURN)
    of_real, of_fake = _logits(game, 1)
    torch.testing.assert_close(loss.terms["generated"], F.softplus(-of_fake).mean())
    torch.testing.assert_close(loss.terms["encoded"], F.softplus(of_real).mean())


def test_each_half_reaches_the_network_that_it_is_about():
    game = _game()
    loss = game.generator_loss(REAL, TURN)
    for term, network, other in (
        ("generated", game.generator, game.encoder),
        ("encoded", game.encoder, game.generator),
    ):
        weights = [*network.parameters(), *other.parameters()]
        slopes = torch.autograd.grad(loss.terms[term], weights, retain_graph=True, allow_unused=True)
        own, others = slopes[: len(list(network.parameters()))], slopes[len(list(network.parameters())) :]
        assert all(slope is not None and slope.isfinite().all() for slope in own)
        assert sum(slope.abs().sum() for slope in own) > 0
        assert all(slope is None for slope in others)


def test_the_discriminators_loss_holds_both_kinds_of_pairs_fixed():
    game = _game()
    sum(game.discriminator_loss(REAL, TURN).terms.values()).backward()
    assert all(p.grad is None for p in [*game.generator.parameters(), *game.encoder.parameters()])
    assert all(p.grad is not None for p in game.discriminator.parameters())


def test_the_discriminator_looks_at_both_sides_of_each_pair():
    game = _game()
    codes, order = torch.randn(6, TINY.latent), torch.tensor([3, 0, 1, 5, 4, 2])
    scores = game.discriminator(REAL, codes)
    torch.testing.assert_close(game.discriminator(REAL[order], codes[order]), scores[order])
    apart = order != torch.arange(6)
    for exchanged in (game.discriminator(REAL, codes[order]), game.discriminator(REAL[order], codes)):
        assert not torch.isclose(exchanged, scores, rtol=1e-6, atol=0)[apart].any()


def test_one_optimiser_moves_generator_and_encoder():
    game = _game()
    (group,) = game.optimizers()["generator"].param_groups
    expected = {id(p) for p in [*game.generator.parameters(), *game.encoder.parameters()]}
    assert {id(p) for p in group["params"]} == expected


def test_it_shows_the_last_images_that_it_learned_from_again():
    game = _game().eval()
    assert game.sheets() == {}
    for _ in range(2):
        game.generator_loss(torch.zeros_like(REAL), TURN)
    game.seen.add(torch.zeros(128 - 12, *SPEC.shape))
    game.generator_loss(REAL, TURN)  # takes the places of the first
    sheet = game.sheets()["reconstruction"]
    torch.testing.assert_close(sheet[0, :6], REAL)
    torch.testing.assert_close(sheet[1, :6], game.generator(game.encoder(REAL)))
    assert set(game.sheets()) == {"reconstruction", "arithmetic"}
