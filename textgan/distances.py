"""Distances between two sets of feature vectors that a generator can minimise: MMD and optimal transport.

All are differentiable in the vectors and computed in float32 at least. Plans of transport are found without gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

TransportName = Literal["ipot", "sinkhorn"]
"""How a plan of transport is found."""


def squared_distances(x: Float[Tensor, "n size"], y: Float[Tensor, "m size"]) -> Float[Tensor, "n m"]:
    """``|x_i - y_j|^2`` of every pair."""
    return (_square(x)[:, None] + _square(y) - 2 * x @ y.t()).clamp(min=0)


def mmd_squared(
    x: Float[Tensor, "n size"], y: Float[Tensor, "m size"], bandwidths: Sequence[float] | Float[Tensor, " bandwidths"]
) -> Float[Tensor, ""]:
    """The squared maximum mean discrepancy under the mean of Gaussian kernels ``exp(-|a - b|^2 / (2 s^2))``, one for
    each bandwidth s, which is positive.

    ``mean_ij k(x_i, x_j) + mean_ij k(y_i, y_j) - 2 mean_ij k(x_i, y_j)`` with the pairs i = j (Gretton et al. 2012,
    equation 5): never negative, and biased upwards.
    """
    x, y = _at_least_float32(x), _at_least_float32(y)
    scales = 2 * torch.as_tensor(bandwidths, device=x.device, dtype=x.dtype).square()

    def mean_kernel(a: Tensor, b: Tensor) -> Tensor:
        return (-squared_distances(a, b)[..., None] / scales).exp().mean()

    with torch.autocast(x.device.type, enabled=False):
        return mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)


@torch.no_grad()
def median_distance(x: Float[Tensor, "n size"]) -> Float[Tensor, ""]:
    """The (lower) median distance of two different vectors of a set: the usual bandwidth; 1 where it is 0."""
    x = _at_least_float32(x)
    with torch.autocast(x.device.type, enabled=False):
        rows, columns = torch.triu_indices(len(x), len(x), 1, device=x.device)
        median = squared_distances(x, x)[rows, columns].median().sqrt() if len(x) > 1 else x.new_zeros(())
    return torch.where(median > 0, median, 1.0)


def cosine_costs(x: Float[Tensor, "n size"], y: Float[Tensor, "m size"]) -> Float[Tensor, "n m"]:
    """``1 - cos(x_i, y_j)`` of every pair; a vector of length 0 has cosine 0 with all."""
    x, y = _at_least_float32(x), _at_least_float32(y)
    with torch.autocast(x.device.type, enabled=False):
        return 1 - torch.nn.functional.normalize(x, dim=1) @ torch.nn.functional.normalize(y, dim=1).t()


@torch.no_grad()
def sinkhorn_plan(costs: Float[Tensor, "n m"], epsilon: float, iterations: int) -> Float[Tensor, "n m"]:
    """The plan P with row sums 1/n and column sums 1/m that minimises ``<P, C> + epsilon sum_ij P_ij log P_ij``.

    Sinkhorn's iterations (Cuturi 2013, algorithm 1) on logarithms, which no small epsilon makes overflow. The column
    sums are exact; the row sums become so as the iterations go on.
    """
    n, m = costs.shape
    scores = -_at_least_float32(costs) / epsilon
    columns = scores.new_zeros(m)
    for _ in range(iterations):
        rows = -math.log(n) - (scores + columns).logsumexp(1)
        columns = -math.log(m) - (scores + rows[:, None]).logsumexp(0)
    return (scores + rows[:, None] + columns).exp()


@torch.no_grad()
def ipot_plan(costs: Float[Tensor, "n m"], step: float, iterations: int) -> Float[Tensor, "n m"]:
    """The plan P with row sums 1/n and column sums 1/m that minimises ``<P, C>``, by proximal points (IPOT).

    Each iteration is one of Sinkhorn's on the kernel ``P exp(-C / step)``, P being the plan so far (Xie et al. 2018,
    algorithm 1; beta there is `step` here), so that the plan becomes sharp without a small epsilon. Here on logarithms.
    """
    n, m = costs.shape
    descent = -_at_least_float32(costs) / step
    plan = torch.zeros_like(descent)
    columns = descent.new_zeros(m)
    for _ in range(iterations):
        kernel = plan + descent
        rows = -math.log(n) - (kernel + columns).logsumexp(1)
        columns = -math.log(m) - (kernel + rows[:, None]).logsumexp(0)
        plan = kernel + rows[:, None] + columns
    return plan.exp()


PLANS: dict[str, Callable[[Tensor, float, int], Tensor]] = {"ipot": ipot_plan, "sinkhorn": sinkhorn_plan}


def feature_movers_distance(
    x: Float[Tensor, "n size"],
    y: Float[Tensor, "m size"],
    transport: TransportName = "ipot",
    softness: float = 0.5,
    iterations: int = 50,
) -> Float[Tensor, ""]:
    """``<P, C>``: what it costs to move x onto y, C being `cosine_costs`, P the plan (Chen et al. 2018, equation 5).

    `softness` is Sinkhorn's epsilon or IPOT's step, positive. The plan is held fixed while the costs are derived, which
    is the exact gradient at the best plan (the envelope theorem) and close to it at Sinkhorn's.
    """
    costs = cosine_costs(x, y)
    return (PLANS[transport](costs.detach(), softness, iterations) * costs).sum()


def _square(x: Tensor) -> Tensor:
    return x.square().sum(1)


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
