"""What makes the Bayesian GAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.bayesian_gan import TINY, BayesianGAN
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(channels=3, height=7, width=6, train_size=40)
TURN = Turn("adversarial", 0, 0.0)
REAL = torch.rand(6, *SPEC.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def _game(**changes) -> BayesianGAN:
    seed_everything(0)
    return BayesianGAN(dataclasses.replace(TINY, **changes), SPEC)


def test_every_generator_deceives_the_mean_of_the_discriminators():
    game = _game(generators=3)
    seed_everything(1)
    loss = game.generators_loss(REAL, TURN)
    seed_everything(1)
    by_hand = 0.0
    for generator in game.generators:
        fake = generator(game.latents(6))
        by_hand += sum(-torch.sigmoid(judge(fake)).log().mean() for judge in game.discriminators) / 2
    torch.testing.assert_close(loss.terms["adversarial"], by_hand)


def test_every_discriminator_sees_fakes_of_all_generators():
    game = _game()
    seed_everything(1)
    loss = game.discriminators_loss(REAL, TURN)
    seed_everything(1)
    z = game.latents(6)
    fake = torch.zeros(6, *SPEC.shape)
    fake[[0, 2, 4]] = game.generators[0](z[[0, 2, 4]]).detach()
    fake[[1, 3, 5]] = game.generators[1](z[[1, 3, 5]]).detach()
    torch.testing.assert_close(loss.terms["real"], sum(F.softplus(-d(REAL)).mean() for d in game.discriminators))
    torch.testing.assert_close(loss.terms["fake"], sum(F.softplus(d(fake)).mean() for d in game.discriminators))
    sum(loss.terms.values()).backward()
    assert all(p.grad is None for p in game.generators.parameters())


def test_chains_do_not_touch_each_other():
    """The gradient of one generator is that of its own posterior, whatever the others are."""
    alone, together = _game(), _game()
    with torch.no_grad():
        for weight in together.generators[1].parameters():
            weight.mul_(3)
    slopes = []
    for game in (alone, together):
        seed_everything(1)
        sum(game.generators_loss(REAL, TURN).terms.values()).backward()
        slopes.append([p.grad for p in game.generators[0].parameters()])
    for ours, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_prior_is_an_images_share_of_a_gaussian():
    """Differences of -log p(w) / N; the constant does not matter."""
    game = _game(prior=0.5)
    weights = torch.cat([p.flatten() for p in game.generators.parameters()]).detach()
    before = game.decay(game.generators).item()
    with torch.no_grad():
        for weight in game.generators.parameters():
            weight.mul_(2)
    log_p = [Normal(0.0, 0.5).log_prob(scale * weights).sum().item() for scale in (1, 2)]
    difference = (log_p[0] - log_p[1]) / SPEC.train_size
    assert game.decay(game.generators).item() - before == pytest.approx(difference, rel=1e-4)


def test_the_temperature_is_an_image_of_the_corpus():
    game = _game(temperature=0.5, learning_rate=0.02, friction=0.3)
    for player, networks in (("generators", game.generators), ("discriminators", game.discriminators)):
        (group,) = game.optimizers()[player].param_groups
        assert group["temperature"] == 0.5 / SPEC.train_size
        assert (group["lr"], group["friction"]) == (0.02, 0.3)
        assert len(group["params"]) == len(list(networks.parameters()))


def test_samples_are_of_each_generator_in_turn():
    game = _game(generators=3).eval()
    seed_everything(1)
    images = game.sample(7)
    seed_everything(1)
    z = game.latents(7)
    for i in range(7):
        torch.testing.assert_close(images[i], game.generators[i % 3](z[i : i + 1])[0])
    assert game.sample(2).shape == (2, *SPEC.shape)


def test_the_sheet_has_what_each_generator_makes_of_the_same_latents():
    game = _game(generators=3).eval()
    seed_everything(1)
    sheet = game.sheets()["generators"]
    seed_everything(1)
    z = game.latents(8)
    for row, generator in zip(sheet, game.generators, strict=True):
        torch.testing.assert_close(row, generator(z))


def test_a_friction_above_one_is_refused():
    with pytest.raises(UserError, match=r"game\.friction is 1\.5"):
        dataclasses.replace(TINY, friction=1.5)
