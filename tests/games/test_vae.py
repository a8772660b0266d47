"""What makes a variational autoencoder itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.vae import TINY, VAE
from textgan.networks.image_encoders import Posterior
from textgan.networks.modes import evaluating
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(channels=3, height=7, width=6, train_size=40)
TURN = Turn("likelihood", 0, 0.0)
REAL = torch.rand(6, *SPEC.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def _game(spec: ImageSpec = SPEC, **changes) -> VAE:
    seed_everything(0)
    return VAE(dataclasses.replace(TINY, **changes), spec)


def test_the_loss_is_reconstruction_and_divergence_of_one_draw():
    game = _game(likelihood="gaussian", beta=0.5)
    seed_everything(1)
    loss = game.loss(REAL, TURN)
    posterior = game.encoder(REAL)
    deviation = (posterior.log_variance / 2).exp()
    seed_everything(1)
    z = posterior.mean + deviation * torch.randn(6, TINY.latent)
    by_hand = -Normal(game.decode(z), 1.0).log_prob(REAL).sum((1, 2, 3)).mean()
    divergence = (posterior.mean**2 + deviation**2 - 1).sum(1) / 2 - deviation.log().sum(1)
    torch.testing.assert_close(loss.terms["reconstruction"], by_hand)
    torch.testing.assert_close(loss.terms["divergence"], 0.5 * divergence.mean())
    torch.testing.assert_close(loss.info["bound"], (by_hand + divergence.mean()).detach())


def test_the_bound_of_a_linear_model_is_its_likelihood_where_the_encoder_is_exact():
    """x = W z + 0.2 e, the columns of W orthogonal: q(z|x) is known, and -log p(x) is that of a Gaussian."""
    n, deviation = 40_000, 0.2
    spec = ImageSpec(1, 2, 2, train_size=40)
    game = _game(spec, likelihood="gaussian", latent=2)
    w = torch.tensor([[0.1, 0.05], [0.1, -0.05], [-0.05, 0.1], [0.05, 0.1]])
    w[:, 1] -= w[:, 0] * (w[:, 0] @ w[:, 1]) / w[:, 0].square().sum()
    x = torch.tensor([0.1, 0.2, -0.1, 0.0])
    variance = 1 / (1 + w.square().sum(0) / deviation**2)
    mean = variance * (w.T @ x) / deviation**2
    game.encoder.forward = lambda images: Posterior(mean.expand(n, 2), variance.log().expand(n, 2))
    game.generator.raw = lambda z: (z @ w.T).atanh().view(-1, 1, 2, 2)
    with torch.no_grad():
        game.likelihood.log_deviation.copy_(torch.tensor(deviation).log())
    likelihood = MultivariateNormal(torch.zeros(4), w @ w.T + deviation**2 * torch.eye(4)).log_prob(x)
    images = x.view(1, 1, 2, 2).expand(n, 1, 2, 2)
    with torch.no_grad():
        exact = game.loss(images, TURN).info["bound"].item()
        game.encoder.forward = lambda images: Posterior((mean + 0.5).expand(n, 2), variance.log().expand(n, 2))
        worse = game.loss(images, TURN).info["bound"].item()
    assert exact == pytest.approx(-likelihood.item(), abs=0.02)
    gap = (0.25 / (2 * variance)).sum().item()  # KL(q, exact posterior)
    assert worse == pytest.approx(-likelihood.item() + gap, abs=0.05)


def test_a_sample_is_the_mean_of_what_the_likelihood_says():
    game = _game().eval()
    z = game.latents(5)
    p = torch.sigmoid(2 * game.generator.raw(z))
    torch.testing.assert_close(game.decode(z), 2 * p - 1)
    assert z.std().item() == pytest.approx(1, abs=0.3)  # the prior that the divergence is from


def test_the_reconstruction_reaches_mean_and_deviation_of_the_encoder():
    """The draw is part of the graph: without it the encoder would learn to be the prior."""
    game = _game()
    with evaluating(game):
        reconstruction = game.loss(REAL, TURN).terms["reconstruction"]
    last = game.encoder.body.body.output.weight
    (slope,) = torch.autograd.grad(reconstruction, last)
    assert all(rows.abs().sum() > 0 for rows in slope.chunk(2))


def test_the_deviation_is_there_where_it_can_learn():
    names = {
        likelihood: dict(_game(likelihood=likelihood).named_parameters()) for likelihood in ("bernoulli", "gaussian")
    }
    assert set(names["gaussian"]) - set(names["bernoulli"]) == {"likelihood.log_deviation"}


def test_codes_are_means_without_chance():
    game = _game().eval()
    torch.testing.assert_close(game.encode(REAL), game.encoder(REAL).mean)


def test_it_shows_training_images_again():
    game = _game().eval()
    assert game.sheets() == {}
    game.seen.add(torch.zeros(64, *SPEC.shape))
    game.seen.add(torch.zeros(64, *SPEC.shape))
    game.loss(REAL, TURN)
    sheet = game.sheets()["reconstruction"]
    torch.testing.assert_close(sheet[0, :6], REAL)
    torch.testing.assert_close(sheet[1, :6], game.decode(game.encoder(REAL).mean))


def test_a_step_size_of_nothing_is_refused():
    with pytest.raises(UserError, match=r"game\.learning_rate is 0\.0"):
        dataclasses.replace(TINY, learning_rate=0.0)
