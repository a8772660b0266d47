from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from textgan.losses import (
    F_DIVERGENCES,
    OBJECTIVES,
    accuracy,
    discriminator_loss,
    gradient_penalty,
    least_squares,
    r1_penalty,
    slope_penalty,
)

REAL, FAKE = [0.3, -0.8, 1.2], [0.9, -1.5, 0.4]


def _s(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


def _mean(values: list[Tensor]) -> Tensor:
    return sum(values) / len(values)


BY_HAND = {
    "standard": (
        lambda r, f: (_mean([-_s(x).log() for x in r]), _mean([-(1 - _s(x)).log() for x in f])),
        lambda r, f: _mean([-_s(x).log() for x in f]),
    ),
    "saturating": (
        lambda r, f: (_mean([-_s(x).log() for x in r]), _mean([-(1 - _s(x)).log() for x in f])),
        lambda r, f: _mean([(1 - _s(x)).log() for x in f]),
    ),
    "least_squares": (
        lambda r, f: (_mean([(x - 1) ** 2 / 2 for x in r]), _mean([x**2 / 2 for x in f])),
        lambda r, f: _mean([(x - 1) ** 2 / 2 for x in f]),
    ),
    "wasserstein": (lambda r, f: (-_mean(list(r)), _mean(list(f))), lambda r, f: -_mean(list(f))),
    "hinge": (
        lambda r, f: (_mean([(1 - x).clamp(min=0) for x in r]), _mean([(1 + x).clamp(min=0) for x in f])),
        lambda r, f: -_mean(list(f)),
    ),
    "relativistic": (
        lambda r, f: (_mean([-_s(a - b).log() / 2 for a, b in zip(r, f, strict=True)]),) * 2,
        lambda r, f: _mean([-_s(b - a).log() for a, b in zip(r, f, strict=True)]),
    ),
    "relativistic_average": (
        lambda r, f: (
            _mean([-_s(a - _mean(list(f))).log() for a in r]), _mean([-(1 - _s(b - _mean(list(r)))).log() for b in f])
        ),
        lambda r, f: _mean([-_s(b - _mean(list(r))).log() for b in f])
        + _mean([-(1 - _s(a - _mean(list(f)))).log() for a in r]),
    ),
}  # fmt: skip
"""The losses as the papers' equations have them: those of the discriminator, that of the generator."""


def _with_gradients(value: Tensor, *scores: Tensor) -> list[Tensor]:
    gradients = torch.autograd.grad(value, scores, allow_unused=True, retain_graph=True)
    return [value, *(torch.zeros_like(x) if g is None else g for x, g in zip(scores, gradients, strict=True))]


@pytest.mark.parametrize("name", BY_HAND)
def test_an_objective_and_its_gradient_are_those_of_its_equations(name):
    real, fake = (torch.tensor(x, requires_grad=True) for x in (REAL, FAKE))
    discriminator, generator = BY_HAND[name]
    objective = OBJECTIVES[name]
    for found, expected in zip(objective.discriminator(real, fake), discriminator(real, fake), strict=True):
        for mine, theirs in zip(*(_with_gradients(x, real, fake) for x in (found, expected)), strict=True):
            torch.testing.assert_close(mine, theirs)
    found, expected = objective.generator(real, fake), generator(real, fake)
    for mine, theirs in zip(*(_with_gradients(x, real, fake) for x in (found, expected)), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_least_squares_has_the_labels_it_is_given():
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    objective = least_squares(-1.0, 2.0, 0.5)
    on_real, on_fake = objective.discriminator(real, fake)
    assert on_real.item() == pytest.approx(sum((x - 2) ** 2 for x in REAL) / 6)
    assert on_fake.item() == pytest.approx(sum((x + 1) ** 2 for x in FAKE) / 6)
    assert objective.generator(real, fake).item() == pytest.approx(sum((x - 0.5) ** 2 for x in FAKE) / 6)


def test_every_objective_is_tested_here():
    assert {*BY_HAND, *F_DIVERGENCES} == set(OBJECTIVES)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_takes_votes_and_is_finite_in_bfloat16(name):
    real, fake = torch.randn(4, 3).bfloat16(), torch.randn(4, 3).bfloat16()
    halves = OBJECTIVES[name].discriminator(real, fake)
    assert all(half.dtype == torch.float32 and half.isfinite() for half in halves)
    assert OBJECTIVES[name].generator(real, fake).isfinite()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_generator_raises_the_scores_of_its_samples_and_the_reward_grows_with_them(name):
    real, fake = torch.tensor([0.2, 0.1]), torch.tensor([0.1, -0.3], requires_grad=True)
    (gradient,) = torch.autograd.grad(OBJECTIVES[name].generator(real, fake), fake)
    assert (gradient < 0).all()
    scores = torch.linspace(-2, 2, 9)
    assert (OBJECTIVES[name].reward(scores).diff() > 0).all()


@pytest.mark.parametrize("name", ["relativistic", "relativistic_average"])
def test_relativistic_losses_do_not_change_when_all_scores_are_shifted(name):
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    for loss in (lambda r, f: sum(OBJECTIVES[name].discriminator(r, f)), OBJECTIVES[name].generator):
        torch.testing.assert_close(loss(real + 3, fake + 3), loss(real, fake))


def test_losses_of_votes_compare_each_vote_with_the_same_vote():
    real, fake = torch.randn(5, 3), torch.randn(5, 3)
    for name in ("relativistic", "relativistic_average"):
        whole = OBJECTIVES[name].generator(real, fake)
        parts = torch.stack([OBJECTIVES[name].generator(real[:, v], fake[:, v]) for v in range(3)])
        torch.testing.assert_close(whole, parts.mean())


F = {
    "total_variation": lambda u: (u - 1).abs() / 2,
    "kl": lambda u: u * u.log(),
    "reverse_kl": lambda u: -u.log(),
    "pearson": lambda u: (u - 1) ** 2,
    "neyman": lambda u: (1 - u) ** 2 / u,
    "squared_hellinger": lambda u: (u.sqrt() - 1) ** 2,
    "jeffrey": lambda u: (u - 1) * u.log(),
    "jensen_shannon": lambda u: -(u + 1) * ((1 + u) / 2).log() + u * u.log(),
    "saturating": lambda u: u * u.log() - (u + 1) * (u + 1).log(),
}
"""f of each divergence ``sum q f(p / q)``: Nowozin et al. 2016, table 1. (The last is JSD's less 2 log 2.)"""


def _best_bound(name: str, p: Tensor, q: Tensor) -> float:
    """The bound ``sum p g(v) - sum q f*(g(v))`` at its best scores, which are a free number at every point."""
    divergence = F_DIVERGENCES[name]
    scores = torch.zeros_like(p, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], lr=0.5, max_iter=2000, line_search_fn="strong_wolfe", tolerance_grad=1e-10)

    def loss():
        optimizer.zero_grad()
        activated = divergence.activation(scores)
        # Each point counts alike in what is minimised, so that rare ones are found as well; the best scores stay.
        ((q * divergence.conjugate(activated) - p * activated) / (p + q)).sum().backward()
        return ((q * divergence.conjugate(activated) - p * activated) / (p + q)).sum().detach()

    optimizer.step(loss)
    activated = divergence.activation(scores.detach())
    return (p * activated - q * divergence.conjugate(activated)).sum().item()


DISCRETE = (torch.tensor([0.5, 0.2, 0.2, 0.1]).double(), torch.tensor([0.1, 0.3, 0.2, 0.4]).double())


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_the_best_bound_over_discrete_distributions_is_the_divergence(name):
    p, q = DISCRETE
    expected = (q * F[name](p / q)).sum().item()
    assert _best_bound(name, p, q) == pytest.approx(expected, abs=1e-4 if name != "total_variation" else 1e-3)


def _normal(x: Tensor, mean: float, deviation: float) -> Tensor:
    return (-((x - mean) ** 2) / (2 * deviation**2)).exp() / (deviation * math.sqrt(2 * math.pi))


KL_OF_NORMALS = math.log(1.1 / 0.9) + (0.9**2 + 0.5**2) / (2 * 1.1**2) - 0.5
CLOSED_FORM = {
    "kl": KL_OF_NORMALS,
    "jeffrey": KL_OF_NORMALS + math.log(0.9 / 1.1) + (1.1**2 + 0.5**2) / (2 * 0.9**2) - 0.5,
    "squared_hellinger": 2
    - 2 * math.sqrt(2 * 0.9 * 1.1 / (0.9**2 + 1.1**2)) * math.exp(-(0.5**2) / (4 * (0.9**2 + 1.1**2))),
}
"""Of N(0, 0.9^2) from N(0.5, 1.1^2)."""


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_the_best_bound_over_two_gaussians_is_the_divergence(name):
    """By the sum over a fine grid, which is the integral within 1e-6."""
    x = torch.linspace(-4.5, 4.5, 181, dtype=torch.float64)
    p, q = (_normal(x, mean, deviation) * (x[1] - x[0]) for mean, deviation in ((0.0, 0.9), (0.5, 1.1)))
    expected = (q * F[name](p / q)).sum().item()
    assert CLOSED_FORM.get(name, expected) == pytest.approx(expected, abs=1e-3)
    assert _best_bound(name, p, q) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("name", sorted(set(F_DIVERGENCES) - {"saturating"}))
def test_an_f_divergences_objective_is_its_bound(name):
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    divergence, objective = F_DIVERGENCES[name], OBJECTIVES[name]
    bound = divergence.activation(real).mean() - divergence.conjugate(divergence.activation(fake)).mean()
    torch.testing.assert_close(-sum(objective.discriminator(real, fake)), bound)
    torch.testing.assert_close(
        objective.generator(real, fake), -divergence.conjugate(divergence.activation(fake)).mean()
    )


def test_the_saturating_objective_is_the_bound_of_its_divergence():
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    divergence = F_DIVERGENCES["saturating"]
    on_real, on_fake = discriminator_loss(real, fake)
    torch.testing.assert_close(on_real, -divergence.activation(real).mean())
    torch.testing.assert_close(on_fake, divergence.conjugate(divergence.activation(fake)).mean())


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_the_conjugate_has_the_gradient_of_finite_differences(name):
    divergence = F_DIVERGENCES[name]
    scores = torch.tensor([-1.3, -0.2, 0.4, 1.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: divergence.conjugate(divergence.activation(v)), scores)


def test_the_discriminators_loss_is_the_cross_entropy_of_its_probabilities():
    real, fake = torch.tensor([0.3, -2.0, 50.0]), torch.tensor([1.5, -0.4])
    on_real, on_fake = discriminator_loss(real, fake)
    assert on_real.item() == pytest.approx(-real.sigmoid().log().mean().item())
    assert on_fake.item() == pytest.approx(-(1 - fake.sigmoid()).log().mean().item())
    assert sum(discriminator_loss(torch.zeros(4), torch.zeros(4))).item() == pytest.approx(2 * math.log(2))
    assert torch.isfinite(discriminator_loss(torch.tensor([-1e4]), torch.tensor([1e4]))[0])


def test_accuracy_weighs_real_and_fake_half_each():
    assert accuracy(torch.tensor([1.0, 1.0, 1.0, -1.0]), torch.tensor([-1.0])).item() == pytest.approx((0.75 + 1) / 2)


def test_the_penalty_of_a_linear_critic_is_its_slope_off_one():
    slope = torch.tensor([3.0, 4.0])
    real, fake = torch.randn(6, 2), torch.randn(6, 2)
    assert gradient_penalty(lambda x: x @ slope, real, fake).item() == pytest.approx((5 - 1) ** 2)


def test_the_penalty_takes_one_norm_a_sample():
    """f(x) = |x|^2 / 2 has slope x; with real = fake the mean of (|x| - 1)^2 is not (|all x| - 1)^2."""
    x = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    penalty = gradient_penalty(lambda x: x.square().sum(1) / 2, x, x)
    assert penalty.item() == pytest.approx(((3 - 1) ** 2 + 0) / 2)


def test_the_penalty_mixes_each_sample_with_its_own_weight():
    torch.manual_seed(0)
    seen = []
    gradient_penalty(lambda x: seen.append(x.detach()) or x.sum(1), torch.zeros(100, 3), torch.ones(100, 3))
    assert torch.equal(seen[0][:, 0], seen[0][:, 1])
    assert seen[0][:, 0].unique().numel() > 90


def test_the_penalty_is_float32_under_autocast_and_differentiable():
    critic = torch.nn.Linear(2, 1)
    with torch.autocast("cpu", torch.bfloat16):
        penalty = gradient_penalty(critic, torch.randn(4, 2), torch.randn(4, 2))
    assert penalty.dtype == torch.float32
    penalty.backward()
    norm = critic.weight.detach().norm()
    torch.testing.assert_close(critic.weight.grad, 2 * (norm - 1) * critic.weight.detach() / norm)


def test_the_slope_penalty_is_that_of_the_points_themselves():
    x = torch.tensor([[3.0, 0.0], [0.0, 2.0]], requires_grad=True)
    penalty = slope_penalty(lambda x: x.square().sum(1) / 2, x)
    assert penalty.item() == pytest.approx(((3 - 1) ** 2 + (2 - 1) ** 2) / 2)


def test_r1_is_the_mean_over_samples_of_the_squared_norm_of_each_ones_gradient():
    torch.manual_seed(0)
    score = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
    real = torch.randn(4, 2, 3)
    found = r1_penalty(lambda x: score(x.flatten(1)).squeeze(1), real)
    expected = []
    for row in real:
        x = row.flatten().requires_grad_(True)
        (slope,) = torch.autograd.grad(score(x).squeeze(0), x, create_graph=True)
        expected.append(slope.square().sum())
    torch.testing.assert_close(found, sum(expected) / 4)
    mine, theirs = (torch.autograd.grad(v, score[0].weight, retain_graph=True)[0] for v in (found, sum(expected) / 4))
    torch.testing.assert_close(mine, theirs)
    assert real.grad is None


def test_r1_is_float32_under_autocast():
    real = torch.randn(4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        penalty = r1_penalty(lambda x: (x @ torch.eye(3)).square().sum(1), real)
    torch.testing.assert_close(penalty, 4 * real.square().sum(1).mean())
