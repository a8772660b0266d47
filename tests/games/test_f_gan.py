"""What makes f-GAN itself."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from textgan.config import parse_train_command
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.f_gan import FGAN, TINY
from textgan.losses import F_DIVERGENCES, OBJECTIVES
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(channels=1, height=8, width=8, train_size=40)
START = Turn("adversarial", 0, 0.0)
SHIFT = 0.8
"""Real samples are of N(0, 1), fakes of N(SHIFT, 1)."""


def _game(**changes: object) -> FGAN:
    seed_everything(0)
    return FGAN(dataclasses.replace(TINY, **changes), SPEC)


def _log_ratio(x: Tensor) -> Tensor:
    """``log p(x) / q(x)``."""
    return SHIFT**2 / 2 - SHIFT * x


BEST = {
    "total_variation": lambda ratio: 1e4 * ratio,
    "kl": lambda ratio: 1 + ratio,
    "reverse_kl": lambda ratio: ratio,
    "pearson": lambda ratio: 2 * (ratio.exp() - 1),
    "neyman": lambda ratio: 2 * ratio,
    "squared_hellinger": lambda ratio: ratio / 2,
    "jeffrey": lambda ratio: 1 + ratio - (-ratio).exp(),
    "jensen_shannon": lambda ratio: ratio,
    "saturating": lambda ratio: ratio,
}
"""The scores V at which the bound is reached, ``g(V) = f'(p / q)``, by the log of p / q: from table 1's f."""


def _jensen_shannon() -> float:
    """``KL(p | m) + KL(q | m)``, m the mean of both, by a sum over a fine grid."""
    x = torch.linspace(-9, 10, 19_001, dtype=torch.float64)
    p, q = ((-((x - mean) ** 2) / 2).exp() / math.sqrt(2 * math.pi) * 0.001 for mean in (0.0, SHIFT))
    middle = (p + q) / 2
    return ((p * (p / middle).log()) + (q * (q / middle).log())).sum().item()


DIVERGENCES = {
    "total_variation": math.erf(SHIFT / 2 / math.sqrt(2)),
    "kl": SHIFT**2 / 2,
    "reverse_kl": SHIFT**2 / 2,
    "pearson": math.exp(SHIFT**2) - 1,
    "neyman": math.exp(SHIFT**2) - 1,
    "squared_hellinger": 2 - 2 * math.exp(-(SHIFT**2) / 8),
    "jeffrey": SHIFT**2,
    "jensen_shannon": _jensen_shannon(),
    "saturating": _jensen_shannon() - 2 * math.log(2),
}
"""Of N(0, 1) from N(SHIFT, 1), in closed form but for two."""

QUANTILES = torch.special.ndtri((torch.arange(40_000, dtype=torch.float64) + 0.5) / 40_000)


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_the_value_at_the_best_scores_is_the_divergence_of_two_gaussians_and_lower_at_all_others(name):
    referee = _game(loss=name).referee

    def value(score):
        return referee.discriminator(score, QUANTILES, QUANTILES + SHIFT, START).info["value"].item()

    best = value(lambda x: BEST[name](_log_ratio(x)))
    assert best == pytest.approx(DIVERGENCES[name], rel=3e-3)
    for bend in (torch.sin, torch.cos, torch.tanh, torch.ones_like):
        for size in (0.2, -0.2):
            bent = value(lambda x, bend=bend, size=size: BEST[name](_log_ratio(x) + size * bend(x)))
            assert bent < best - 1e-4 or (name == "total_variation" and bent <= best + 1e-9)


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_an_image_counts_as_real_above_the_best_score_of_equal_densities(name):
    referee = _game(loss=name).referee
    boundary = BEST[name](torch.zeros(())).item()
    real, fake = torch.tensor([0.1, 0.1, 0.1, -0.1]), torch.tensor([-0.1, 0.1])
    info = referee.discriminator(lambda x: x + boundary, real, fake, START).info
    assert info["accuracy"].item() == pytest.approx((0.75 + 0.5) / 2)


def test_every_divergence_is_tested_here_and_can_be_chosen():
    assert set(BEST) == set(DIVERGENCES) == set(F_DIVERGENCES)
    assert len(F_DIVERGENCES) == 9
    with pytest.raises(UserError, match=r"game.loss is 'hinge'; it must be one of total_variation, kl,"):
        dataclasses.replace(TINY, loss="hinge")


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_both_sides_play_for_the_same_bound(name):
    """The discriminator raises E g(V(x)) - E f*(g(V(G))), the generator lowers it."""
    game = _game(loss=name)
    divergence = F_DIVERGENCES[name]
    real = torch.rand(6, *SPEC.shape) * 2 - 1
    seed_everything(1)
    loss = game.discriminator_loss(real, START)
    seed_everything(1)
    generated = game.generator_loss(real, START).terms["adversarial"]
    seed_everything(1)
    on_real, on_fake = game.discriminator(real), game.discriminator(game.sample(6))
    conjugate = divergence.conjugate(divergence.activation(on_fake)).mean()
    torch.testing.assert_close(loss.info["value"], divergence.activation(on_real).mean() - conjugate)
    torch.testing.assert_close(sum(loss.terms.values()), -loss.info["value"])
    torch.testing.assert_close(generated, -conjugate)


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_the_alternative_raises_the_activation_and_leaves_the_discriminator_alone(name):
    plain, other = _game(loss=name), _game(loss=name, alternative=True)
    scores = torch.tensor([-1.0, 0.3, 0.8])
    found = other.referee.objective.generator(scores, scores)
    torch.testing.assert_close(found, -F_DIVERGENCES[name].activation(scores).mean())
    halves = [game.referee.objective.discriminator(scores, scores - 1) for game in (plain, other)]
    assert halves[0] == halves[1]


def test_the_alternative_of_the_gan_is_the_non_saturating_game():
    scores = torch.tensor([-1.0, 0.3, 0.8])
    found = _game(loss="saturating", alternative=True).referee.objective.generator(scores, scores)
    torch.testing.assert_close(found, OBJECTIVES["standard"].generator(scores, scores))


def test_the_gradients_of_both_sides_are_bounded():
    (stage,) = _game(clip=0.5).stages()
    assert [(move.player, move.clip) for move in stage.moves] == [("discriminator", 0.5), ("generator", 0.5)]


def test_the_preset_has_the_papers_layers():
    command = parse_train_command(find("f_gan"), ["--preset", "f_gan-mnist_5000"], "test")
    config = command.game
    assert (config.generator.kind, config.generator.width, config.generator.layers, config.latent) == (
        "mlp",
        1200,
        2,
        100,
    )
    assert (config.discriminator.kind, config.discriminator.width, config.batch_size) == ("mlp", 240, 4096)
