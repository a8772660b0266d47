"""What makes InfoGAN itself."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal

from textgan.config import parse_train_command
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.infogan import LEAST_DEVIATION, TINY, InfoGAN, gaussian_nll
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 8, 8, train_size=40)
START = Turn("adversarial", 0, 0.0)


def _game(**changes: object) -> InfoGAN:
    seed_everything(0)
    plain = {
        "generator": ImageGeneratorConfig(width=4, norm="none", init_std=0.2),
        "discriminator": ImageDiscriminatorConfig(width=4, init_std=0.2),
        "categorical": (3, 2),
    }
    return InfoGAN(dataclasses.replace(TINY, **{**plain, **changes}), SPEC)


def _real() -> torch.Tensor:
    return torch.rand(5, *SPEC.shape) * 2 - 1


def test_a_gaussians_negative_log_density_is_that_of_its_distribution():
    torch.manual_seed(0)
    x, mean, deviation = torch.randn(6, 3), torch.randn(6, 3), torch.rand(6, 3) + 0.2
    expected = -Normal(mean, deviation).log_prob(x).sum(1).mean()
    torch.testing.assert_close(gaussian_nll(x, mean, deviation), expected)


def test_latents_are_noise_then_one_hot_codes_then_numbers():
    game = _game()
    latents = game.latents(3000)
    noise, first, second, numbers = latents.split([8, 3, 2, 2], 1)
    assert abs(noise.std().item() - 1) < 0.02
    for code, values in ((first, 3), (second, 2)):
        assert sorted(code.unique().tolist()) == [0, 1]
        assert (code.sum(1) == 1).all()
        assert (code.mean(0) - 1 / values).abs().max() < 0.05
    assert numbers.min() >= -1
    assert numbers.max() <= 1
    assert (numbers.var(0) - 1 / 3).abs().max() < 0.03
    assert game.decode(latents[:4]).shape == (4, *SPEC.shape)


def _by_hand(said: torch.Tensor, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """-log q of the codes, image by image, in nats."""
    categorical, continuous = [], []
    for row, z in zip(said, latents, strict=True):
        q, p = row[1:4].softmax(0), row[4:6].softmax(0)
        categorical.append(-(q[z[8:11].argmax()].log() + p[z[11:13].argmax()].log()))
        deviation = LEAST_DEVIATION + F.softplus(row[8:10])
        continuous.append(-Normal(row[6:8], deviation).log_prob(z[13:15]).sum())
    return torch.stack(categorical).mean(), torch.stack(continuous).mean()


@pytest.mark.parametrize("side", ["discriminator", "generator"])
def test_both_sides_minimise_what_is_not_read_of_the_codes_of_their_fakes(side):
    game, real = _game(information=0.7, continuous_information=0.2), _real()
    seed_everything(1)
    loss = getattr(game, f"{side}_loss")(real, START)
    seed_everything(1)
    latents = game.latents(5)
    said = game.discriminator(game.decode(latents))
    categorical, continuous = _by_hand(said, latents)
    torch.testing.assert_close(loss.terms["categorical"], 0.7 * categorical)
    torch.testing.assert_close(loss.terms["continuous"], 0.2 * continuous)
    torch.testing.assert_close(loss.info["information/categorical"], math.log(6) - categorical)
    torch.testing.assert_close(loss.info["information/continuous"], 2 * math.log(2) - continuous)
    adversarial = {
        "discriminator": {
            "real": -game.discriminator(real)[:, 0].sigmoid().log().mean(),
            "fake": -(1 - said[:, 0].sigmoid()).log().mean(),
        },
        "generator": {"adversarial": -said[:, 0].sigmoid().log().mean()},
    }[side]
    assert loss.terms.keys() == {*adversarial, "categorical", "continuous"}
    for name, value in adversarial.items():
        torch.testing.assert_close(loss.terms[name], value)


def test_the_informations_gradient_reaches_the_generator_and_is_not_nothing():
    game = _game()
    terms = game.generator_loss(_real(), START).terms
    for name in ("categorical", "continuous"):
        found = torch.autograd.grad(terms[name], list(game.generator.parameters()), retain_graph=True)
        assert all(gradient.abs().sum() > 0 for gradient in found)


def test_q_learns_in_the_discriminators_move_with_the_features_that_it_shares():
    game = _game()
    terms = game.discriminator_loss(_real(), START).terms
    shared = [*game.discriminator.body.body.parameters(), *game.discriminator.read.parameters()]
    found = torch.autograd.grad(terms["categorical"] + terms["continuous"], shared, retain_graph=True)
    assert all(gradient.abs().sum() > 0 for gradient in found)
    sum(terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())


def test_the_bound_is_met_by_a_q_that_knows_the_codes():
    """Of logits that are sure of every code the bound is H(c); of flat ones it is nothing."""
    game = _game(continuous=0)
    latents = game.latents(40)
    sure = torch.cat([torch.zeros(40, 1), 50 * latents[:, 8:]], 1)
    assert game._unread(latents, sure[:, 1:])[1]["information/categorical"].item() == pytest.approx(math.log(6))
    flat = torch.zeros(40, 5)
    assert game._unread(latents, flat)[1]["information/categorical"].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("changes", [{"categorical": ()}, {"continuous": 0}])
def test_it_plays_with_one_kind_of_code(changes):
    game = _game(**changes)
    kinds = {"categorical", "continuous"} - set(changes)
    assert kinds <= game.generator_loss(_real(), START).terms.keys() <= kinds | {"adversarial"}
    assert game.sheets().keys() == {f"{kind} code {i + 1}" for kind in kinds for i in range(2)}


def test_a_sheet_has_one_column_a_value_and_nothing_else_changes_in_a_row():
    game = _game()
    made = []
    game.generator.register_forward_hook(lambda module, inputs, output: made.append(inputs[0]))
    sheets = game.sheets()
    assert list(sheets) == ["categorical code 1", "categorical code 2", "continuous code 1", "continuous code 2"]
    places = [(8, 11), (11, 13), (13, 14), (14, 15)]
    for latents, (first, last), sheet in zip(list(made), places, sheets.values(), strict=True):
        rows, columns = sheet.shape[:2]
        latents = latents.view(rows, columns, -1)
        torch.testing.assert_close(sheet, game.generator(latents.flatten(0, 1)).view_as(sheet))
        others = torch.cat([latents[..., :first], latents[..., last:]], 2)
        assert torch.equal(others, others[:, :1].expand_as(others))
        code = latents[..., first:last]
        assert torch.equal(code, code[:1].expand_as(code))
        expected = torch.eye(last - first) if last - first > 1 else torch.linspace(-2, 2, 10)[:, None]
        torch.testing.assert_close(code[0], expected)


def test_codes_of_images_are_what_q_thinks_likeliest_whatever_the_mode():
    game = _game(discriminator=ImageDiscriminatorConfig(width=4, dropout=0.5, init_std=0.2))
    images = torch.rand(50, *SPEC.shape)
    found = game.codes_of(images)
    assert game.discriminator.training
    assert torch.equal(found, game.eval().discriminator(images)[:, 1:4].argmax(1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categorical": (3, 1)}, r"game\.categorical is \(3, 1\); it must be of at least 2 values each"),
        ({"categorical": (), "continuous": 0}, "there must be at least one code"),
        ({"information": 0.0}, r"game\.information is 0\.0; it must be above 0"),
    ],
)
def test_codes_that_cannot_be_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        _game(**changes)


def test_the_preset_is_of_images_that_it_names():
    config = parse_train_command(find("infogan"), ["--preset", "infogan-mnist"], "test")
    assert config.corpus == "mnist_5000"
    game = InfoGAN(config.game, ImageSpec(1, 28, 28, train_size=4000, categories=tuple("0123456789")))
    assert game.latents(2).shape == (2, 62 + 10 + 2)
    assert game.sample(2).shape == (2, 1, 28, 28)
