"""The sampler that is an optimiser."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from textgan.parts.sghmc import SGHMC
from textgan.reproducibility import seed_everything

CURVATURE = 2.0


def _variance(lr: float, friction: float, temperature: float) -> float:
    """Of w where the chain rests on L = c w^2 / 2, without sampling: S = A S A' + B B', solved by repetition."""
    step = np.array([[1 - lr * CURVATURE, 1 - friction], [-lr * CURVATURE, 1 - friction]])
    noise = 2 * friction * lr * temperature * np.ones((2, 2))
    found = np.zeros((2, 2))
    for _ in range(20_000):
        found = step @ found @ step.T + noise
    return float(found[0, 0])


def _chain(weight: torch.Tensor, steps: int, **options: float) -> SGHMC:
    sampler = SGHMC([weight], **options)
    for _ in range(steps):
        weight.grad = CURVATURE * weight.detach()
        sampler.step()
    return sampler


def test_its_weights_have_the_variance_of_the_chain_on_a_parabola():
    """30,000 chains; the error of a variance is sqrt(2 / n) of it."""
    seed_everything(0)
    weight = torch.zeros(30_000, requires_grad=True)
    _chain(weight, 300, lr=0.05, friction=0.2, temperature=0.5)
    assert weight.var().item() == pytest.approx(_variance(0.05, 0.2, 0.5), rel=5 * (2 / 30_000) ** 0.5)
    assert weight.mean().item() == pytest.approx(0, abs=5 * (0.25 / 30_000) ** 0.5)


def test_the_chain_rests_on_the_density_that_is_asked_for():
    """exp(-c w^2 / (2 T)) has the variance T / c: in the limit of small steps, whatever the friction."""
    for friction in (0.1, 0.5):
        assert _variance(1e-3, friction, 0.5) == pytest.approx(0.5 / CURVATURE, rel=0.02)


def test_without_noise_it_is_gradient_descent_with_momentum():
    ours = torch.tensor([1.0, -3.0], requires_grad=True)
    theirs = ours.detach().clone().requires_grad_(True)
    _chain(ours, 7, lr=0.1, friction=0.3, temperature=0.0)
    descent = torch.optim.SGD([theirs], lr=0.1, momentum=0.7)
    for _ in range(7):
        theirs.grad = CURVATURE * theirs.detach()
        descent.step()
    torch.testing.assert_close(ours, theirs)


def test_the_momentum_is_state_and_the_noise_is_torchs():
    whole = torch.ones(5, requires_grad=True)
    seed_everything(3)
    _chain(whole, 6, lr=0.1, friction=0.3, temperature=1.0)

    part = torch.ones(5, requires_grad=True)
    seed_everything(3)
    first = _chain(part, 4, lr=0.1, friction=0.3, temperature=1.0)
    resumed = SGHMC([part], lr=9.0, friction=0.9, temperature=9.0)
    resumed.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in range(2):
        part.grad = CURVATURE * part.detach()
        resumed.step()
    assert torch.equal(whole, part)


def test_each_weight_may_have_a_step_of_its_own():
    """Steps and noise by hand: P = 1 / (root of the mean square + 1e-4), in the step and, its root, in the noise."""
    lr, friction, temperature, decay = 0.1, 0.3, 0.7, 0.9
    weight = torch.zeros(3, requires_grad=True)
    sampler = SGHMC([weight], lr, friction, temperature, decay)
    slopes = torch.tensor([[1.0, -2.0, 0.0], [3.0, 0.5, 0.0], [0.1, 0.1, 1.0]])
    seed_everything(3)
    for slope in slopes:
        weight.grad = slope.clone()
        sampler.step()

    seed_everything(3)
    w, v = torch.zeros(3), torch.zeros(3)
    for t in range(1, 4):
        shares = (1 - decay) * decay ** torch.arange(t - 1, -1, -1.0)
        square = (shares[:, None] * slopes[:t] ** 2).sum(0) / shares.sum()
        own = 1 / (square.sqrt() + 1e-4)
        noise = torch.randn(3) * (2 * friction * lr * temperature * own).sqrt()
        v = (1 - friction) * v - lr * own * slopes[t - 1] + noise
        w = w + v
    torch.testing.assert_close(weight.detach(), w)


def test_steps_of_their_own_leave_the_density_as_it_is():
    """Two curvatures, one temperature: each variance is T / c, though the steps are not those of one chain."""
    seed_everything(0)
    curvature = torch.tensor([1.0, 100.0])[:, None]
    weight = torch.zeros(2, 20_000, requires_grad=True)
    sampler = SGHMC([weight], lr=0.02, friction=0.3, temperature=0.04, decay=0.995)
    for _ in range(600):
        # A gradient that is mostly noise, as those of batches are, whose mean square hardly follows the weight.
        weight.grad = curvature * weight.detach() + curvature.sqrt() * torch.randn_like(weight)
        sampler.step()
    # The noise of the gradient adds to the temperature: lr P var(g) / (2 friction) of it.
    own = 1 / (curvature * (curvature * weight.detach().var(1, keepdim=True) + 1)).sqrt()
    warmer = 0.04 + 0.02 * own * curvature / (2 * 0.3)
    torch.testing.assert_close(weight.detach().var(1, keepdim=True), warmer / curvature, rtol=0.06, atol=0)


def test_a_weight_without_a_gradient_stays():
    still = torch.ones(5, requires_grad=True)
    SGHMC([still], lr=0.1, friction=0.3, temperature=1.0).step()
    assert torch.equal(still, torch.ones(5))
