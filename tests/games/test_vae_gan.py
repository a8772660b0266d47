"""What makes VAE/GAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from textgan.config import parse_train_command
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.vae_gan import TINY, VAEGAN
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(channels=1, height=8, width=8, train_size=40)
TURN = Turn("adversarial", 0, 0.0)
REAL = torch.rand(6, *SPEC.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def _game(**changes) -> VAEGAN:
    seed_everything(0)
    return VAEGAN(dataclasses.replace(TINY, **changes), SPEC)


def _made(game: VAEGAN, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Reconstructions and images of the prior, by the numbers that a loss draws from this seed."""
    seed_everything(seed)
    posterior = game.encoder(REAL)
    z = posterior.mean + (posterior.log_variance / 2).exp() * torch.randn(6, TINY.latent)
    return game.generator(z), game.generator(torch.randn(6, TINY.latent))


def _half_squares(game: VAEGAN, again: torch.Tensor) -> torch.Tensor:
    """1/2 |f(x) - f(x~)|^2, feature by feature, a mean over images."""
    real, made = game.discriminator.body(REAL), game.discriminator.body(again)
    pairs = zip(real, made, strict=True)
    return torch.stack([sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / 2 for x, y in pairs]).mean()


def test_the_encoder_has_the_divergence_and_the_similarity_unweighted():
    game = _game(gamma=0.3)
    seed_everything(1)
    loss = game.encoder_loss(REAL, TURN)
    again, _ = _made(game, 1)
    posterior = game.encoder(REAL)
    torch.testing.assert_close(loss.terms["prior"], posterior.divergence().mean())
    torch.testing.assert_close(loss.terms["similarity"], _half_squares(game, again))
    assert set(loss.terms) == {"prior", "similarity"}


@pytest.mark.parametrize("name", ["standard", "saturating"])
def test_the_generator_has_gamma_times_the_similarity_and_deceives_with_both_kinds_of_images(name):
    game = _game(gamma=0.3, loss=name)
    seed_everything(1)
    loss = game.generator_loss(REAL, TURN)
    again, drawn = _made(game, 1)
    torch.testing.assert_close(loss.terms["similarity"], 0.3 * _half_squares(game, again))
    for term, images in (("reconstructed", again), ("drawn", drawn)):
        p = torch.sigmoid(game.discriminator(images))
        by_hand = -p.log().mean() if name == "standard" else (1 - p).log().mean()
        torch.testing.assert_close(loss.terms[term], by_hand)


def test_the_discriminator_rejects_both_kinds_of_images_fully_and_learns_nothing_of_similarity():
    game = _game()
    seed_everything(1)
    loss = game.discriminator_loss(REAL, TURN)
    again, drawn = _made(game, 1)
    torch.testing.assert_close(loss.terms["real"], F.softplus(-game.discriminator(REAL)).mean())
    torch.testing.assert_close(loss.terms["reconstructed"], F.softplus(game.discriminator(again)).mean())
    torch.testing.assert_close(loss.terms["drawn"], F.softplus(game.discriminator(drawn)).mean())
    assert set(loss.terms) == {"real", "reconstructed", "drawn"}


def _reached(loss: torch.Tensor, network: torch.nn.Module) -> bool:
    slopes = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True)
    return any(slope is not None and slope.abs().sum() > 0 for slope in slopes)


def test_each_term_reaches_the_networks_that_it_should():
    game = _game()
    encoder, generator, discriminator = (
        getattr(game, f"{player}_loss")(REAL, TURN).terms for player in ("encoder", "generator", "discriminator")
    )
    assert _reached(encoder["similarity"], game.encoder)  # through generator and discriminator
    assert _reached(encoder["prior"], game.encoder)
    assert not _reached(encoder["prior"], game.generator)
    assert all(_reached(term, game.generator) for term in generator.values())
    assert not any(_reached(term, game.encoder) for term in generator.values())  # codes are held fixed
    for network in (game.encoder, game.generator):
        assert not any(_reached(term, network) for term in discriminator.values())


def test_features_of_real_images_are_held_fixed():
    game = _game()
    features = torch.zeros(6, game.discriminator.size, requires_grad=True)
    similarity = game.unlike(REAL, features)
    assert not _reached(similarity, game.discriminator)
    (slope,) = torch.autograd.grad(similarity, features)
    torch.testing.assert_close(slope, -game.discriminator.features(REAL).detach() / 6)


def test_three_players_move_in_the_order_of_the_algorithm():
    game = _game()
    (stage,) = game.stages()
    assert [(move.player, move.times) for move in stage.moves] == [
        ("encoder", 1), ("generator", 1), ("discriminator", 1),
    ]  # fmt: skip
    owned = {name: len(optimizer.param_groups[0]["params"]) for name, optimizer in game.optimizers().items()}
    assert owned == {name: len(list(getattr(game, name).parameters())) for name in owned}


def test_it_shows_reconstructions_and_arithmetic():
    game = _game().eval()
    game.encoder_loss(REAL, TURN)
    sheets = game.sheets()
    torch.testing.assert_close(sheets["reconstruction"][1], game.generator(game.encoder(REAL).mean))
    assert sheets["arithmetic"].shape == (10, 8, 1, 8, 8)


def test_a_weight_below_nothing_is_refused():
    with pytest.raises(UserError, match=r"game\.gamma is -1\.0"):
        dataclasses.replace(TINY, gamma=-1.0)


def test_the_preset_for_faces_makes_a_game_of_32_by_32():
    command = parse_train_command(find("vae_gan"), ["--preset", "vae_gan-faces"], "test")
    assert command.corpus == "faces"
    game = VAEGAN(command.game, dataclasses.replace(SPEC, height=32, width=32))
    assert game.discriminator.size == game.discriminator.features(torch.zeros(2, 1, 32, 32)).shape[1]
    assert game.eval().sample(2).shape == (2, 1, 32, 32)
