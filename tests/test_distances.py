from __future__ import annotations

import math

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from textgan.distances import (
    cosine_costs,
    feature_movers_distance,
    ipot_plan,
    median_distance,
    mmd_squared,
    sinkhorn_plan,
)


def _points(n: int, size: int, seed: int) -> torch.Tensor:
    return torch.randn(n, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_mmd_is_the_sum_over_all_pairs():
    x, y, bandwidths = _points(5, 3, 0), _points(7, 3, 1) + 1, [0.5, 2.0, 7.0]

    def kernel(a, b):
        square = sum((p - q) ** 2 for p, q in zip(a.tolist(), b.tolist(), strict=True))
        return sum(math.exp(-square / (2 * s * s)) for s in bandwidths) / 3

    def mean(first, second):
        return sum(kernel(a, b) for a in first for b in second) / (len(first) * len(second))

    by_hand = mean(x, x) + mean(y, y) - 2 * mean(x, y)
    assert mmd_squared(x, y, bandwidths).item() == pytest.approx(by_hand, rel=1e-9)
    assert mmd_squared(x, y, torch.tensor(bandwidths)).item() == pytest.approx(by_hand, rel=1e-6)


def test_mmd_of_one_point_each_is_known_and_of_equal_sets_zero():
    x, y = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    assert mmd_squared(x, y, [5.0]).item() == pytest.approx(2 - 2 * math.exp(-25 / 50))
    points = _points(6, 4, 0)
    assert mmd_squared(points, points.flip(0), [1.0]).item() == pytest.approx(0, abs=1e-12)


def test_mmd_has_the_right_gradient():
    x, y = _points(4, 2, 0).requires_grad_(), _points(3, 2, 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: mmd_squared(a, b, [0.7, 1.5]), (x, y))


def test_the_median_distance_leaves_out_a_vector_and_itself():
    x = torch.tensor([[0.0], [1.0], [3.0], [7.0]])  # distances 1, 2, 3, 4, 6, 7
    assert median_distance(x).item() == pytest.approx(3)
    assert median_distance(torch.zeros(3, 2)).item() == 1
    assert median_distance(torch.zeros(1, 2)).item() == 1


def test_cosine_costs_are_one_minus_the_cosine():
    x, y = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[5.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 1.0]])
    expected = torch.tensor([[0.0, 1.0, 2.0, 1 - math.sqrt(0.5)], [1.0] * 4])
    torch.testing.assert_close(cosine_costs(x, y), expected)


@pytest.mark.parametrize("epsilon", [0.05, 0.5, 3.0])
def test_sinkhorns_plan_of_two_points_is_known(epsilon):
    """By symmetry P is proportional to exp(-C / epsilon), which has the right sums when scaled."""
    k = math.exp(-1 / epsilon)
    plan = sinkhorn_plan(torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64), epsilon, 100)
    expected = torch.tensor([[1, k], [k, 1]], dtype=torch.float64) / (2 * (1 + k))
    torch.testing.assert_close(plan, expected)


@pytest.mark.parametrize("make", [sinkhorn_plan, ipot_plan])
def test_plans_have_their_sums_and_carry_no_gradient(make):
    costs = cosine_costs(_points(4, 3, 0), _points(6, 3, 1)).requires_grad_()
    plan = make(costs, 0.2, 500)
    assert not plan.requires_grad
    torch.testing.assert_close(plan.sum(0), torch.full((6,), 1 / 6, dtype=torch.float64))
    torch.testing.assert_close(plan.sum(1), torch.full((4,), 1 / 4, dtype=torch.float64), rtol=1e-5, atol=0)


def test_sinkhorn_of_points_on_a_line_sorts_them_when_epsilon_is_small():
    """The best transport in one dimension takes the sorted points to each other (convex costs)."""
    x, y = _points(8, 1, 0), _points(8, 1, 1) + 0.5
    costs = (x - y.t()).square()
    best = (x.sort(0).values - y.sort(0).values).square().mean()
    moved = (sinkhorn_plan(costs, 0.01, 5000) * costs).sum()
    assert moved.item() == pytest.approx(best.item(), rel=0.01)


def test_a_tiny_epsilon_does_not_overflow():
    plan = sinkhorn_plan(torch.tensor([[0.0, 100.0], [100.0, 0.0]]), 1e-3, 10)
    torch.testing.assert_close(plan, torch.eye(2) / 2)


@pytest.mark.parametrize("seed", range(3))
def test_ipot_finds_the_best_assignment(seed):
    costs = cosine_costs(_points(9, 4, seed), _points(9, 4, seed + 10))
    rows, columns = linear_sum_assignment(costs.numpy())
    best = costs[rows, columns].mean().item()
    assert (ipot_plan(costs, 0.5, 3000) * costs).sum().item() == pytest.approx(best, rel=1e-3)
    softer = (sinkhorn_plan(costs, 0.5, 3000) * costs).sum().item()
    assert softer > best * 1.1


@pytest.mark.parametrize("transport", ["ipot", "sinkhorn"])
def test_the_feature_movers_distance_is_the_plans_cost_and_its_gradient_that_of_the_costs(transport):
    x, y = _points(5, 3, 0).requires_grad_(), _points(5, 3, 1)
    plan = {"ipot": ipot_plan, "sinkhorn": sinkhorn_plan}[transport](cosine_costs(x, y), 0.5, 50)
    moved = feature_movers_distance(x, y, transport, 0.5, 50)
    by_hand = (plan * cosine_costs(x, y)).sum()
    assert moved.item() == pytest.approx(by_hand.item())
    torch.testing.assert_close(torch.autograd.grad(moved, x), torch.autograd.grad(by_hand, x))


def test_ipots_gradient_is_that_of_the_best_cost():
    """Finite differences of the best assignment's cost, which scipy finds anew at each."""
    x, y = _points(5, 3, 3).requires_grad_(), _points(5, 3, 4)

    def best(points):
        costs = cosine_costs(points, y).detach()
        rows, columns = linear_sum_assignment(costs.numpy())
        return costs[rows, columns].mean().item()

    (gradient,) = torch.autograd.grad(feature_movers_distance(x, y, "ipot", 0.5, 5000), x)
    for i in range(5):
        for j in range(3):
            nudge = torch.zeros_like(x)
            nudge[i, j] = 1e-5
            slope = (best(x + nudge) - best(x - nudge)) / 2e-5
            assert gradient[i, j].item() == pytest.approx(slope, abs=1e-3)
