"""What makes LSGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from textgan.config import parse_train_command
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.lsgan import LSGAN, TINY
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(channels=1, height=8, width=8, train_size=40)
START = Turn("adversarial", 0, 0.0)


def _game(**changes: object) -> LSGAN:
    seed_everything(0)
    return LSGAN(dataclasses.replace(TINY, **changes), SPEC)


def _distance(scores: Tensor, label: float) -> float:
    """Half of the mean of ``(score - label)^2``."""
    return sum((score - label) ** 2 for score in scores.tolist()) / len(scores) / 2


@pytest.mark.parametrize("labels", [(0.0, 1.0, 1.0), (-1.0, 1.0, 0.0), (-0.5, 2.0, 0.7)])
def test_scores_are_drawn_to_the_labels_of_each_side(labels):
    game = _game(labels=labels)
    real = torch.rand(6, *SPEC.shape) * 2 - 1
    seed_everything(1)
    terms = game.discriminator_loss(real, START).terms
    seed_everything(1)
    generated = game.generator_loss(real, START).terms["adversarial"]
    seed_everything(1)
    on_real, on_fake = game.discriminator(real), game.discriminator(game.sample(6))
    a, b, c = labels
    assert terms["real"].item() == pytest.approx(_distance(on_real, b), rel=1e-4)
    assert terms["fake"].item() == pytest.approx(_distance(on_fake, a), rel=1e-4)
    assert generated.item() == pytest.approx(_distance(on_fake, c), rel=1e-4)


def test_an_image_counts_as_real_above_the_middle_of_the_labels():
    game = _game(labels=(-1.0, 2.0, 1.0))
    real, fake = torch.tensor([0.6, 0.4, 3.0, 0.7]), torch.tensor([0.4, 0.6])
    info = game.referee.discriminator(lambda x: x, real, fake, START).info
    assert info["accuracy"].item() == pytest.approx((0.75 + 0.5) / 2)


def test_scores_that_are_too_good_are_drawn_back():
    """What tells it from the cross-entropy, which has next to no gradient at a score of 8."""
    game = _game()
    scores = torch.tensor([8.0, 1.0, -3.0], requires_grad=True)
    loss = game.referee.generator(lambda images: images, torch.zeros(3), scores, START)
    (gradient,) = torch.autograd.grad(loss, scores)
    torch.testing.assert_close(gradient, torch.tensor([7.0, 0.0, -4.0]) / 3)


def test_with_the_labels_of_equation_eight_the_generator_lowers_a_pearson_divergence():
    """At the best scores ``(b p + a q) / (p + q)`` the generator's loss, on both sides, is half of
    ``sum (p + q - 2 q)^2 / (p + q)``: equation 7 of the paper."""
    p, q = torch.tensor([0.5, 0.2, 0.2, 0.1]), torch.tensor([0.1, 0.3, 0.2, 0.4])
    game = _game(labels=(-1.0, 1.0, 0.0))
    halves = game.referee.objective.discriminator
    scores = torch.zeros(4, requires_grad=True)

    def expectation() -> Tensor:
        """Of the loss, under both distributions."""
        return sum(p[i] * halves(scores[i : i + 1], scores[:0].new_zeros(1))[0] for i in range(4)) + sum(
            q[i] * halves(scores[:0].new_zeros(1), scores[i : i + 1])[1] for i in range(4)
        )

    optimizer = torch.optim.LBFGS([scores], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = expectation()
        value.backward()
        return value

    optimizer.step(closure)
    torch.testing.assert_close(scores.detach(), (p - q) / (p + q), atol=1e-3, rtol=1e-3)
    towards = game.referee.objective.generator
    of_both = sum((p[i] + q[i]) * towards(scores[i : i + 1], scores[i : i + 1]) for i in range(4))
    assert of_both.item() == pytest.approx(((p + q - 2 * q) ** 2 / (p + q)).sum().item() / 2, abs=1e-4)


@pytest.mark.parametrize("labels", [(1.0, 0.0, 1.0), (0.0, 1.0, 0.0), (0.5, 0.5, 1.0)])
def test_labels_that_do_not_tell_real_from_fake_are_refused(labels):
    with pytest.raises(UserError, match=r"game.labels is .* a < b and a < c"):
        dataclasses.replace(TINY, labels=labels)


def test_another_objective_is_refused():
    with pytest.raises(UserError, match=r"game.loss is 'hinge'; it must be 'least_squares'"):
        dataclasses.replace(TINY, loss="hinge")


def test_the_preset_has_the_papers_latents_and_rates():
    config = parse_train_command(find("lsgan"), ["--preset", "lsgan-faces"], "test").game
    assert (config.latent, config.labels) == (1024, (0.0, 1.0, 1.0))
    assert (config.optimizers.generator, config.optimizers.beta1) == (1e-3, 0.5)
