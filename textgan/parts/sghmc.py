"""Stochastic gradient Hamiltonian Monte Carlo: an optimiser whose steps draw from a distribution."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class SGHMC(Optimizer):
    """Weights that wander through ``p(w) ~ exp(-L(w) / temperature)``, L being the loss, whose gradient may be noisy.

    Chen, Fox and Guestrin (2014), equation 15, with no estimate of the gradient's own noise::

        v <- (1 - friction) v - lr grad L(w) + N(0, 2 friction lr temperature)
        w <- w + v

    Where L is a mean of -log p over N examples, -log p(w) / N added, a temperature of 1 / N gives the posterior; 0 is
    gradient descent with a momentum of 1 - friction. It is exact where lr is small against the curvature of L. Noise
    comes from torch's generator of the weights' device; the momentum v is state.
    """

    def __init__(self, weights: Iterable[Tensor], lr: float, friction: float, temperature: float) -> None:
        super().__init__(weights, {"lr": lr, "friction": friction, "temperature": temperature})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            lr, friction = group["lr"], group["friction"]
            deviation = (2 * friction * lr * group["temperature"]) ** 0.5
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].mul_(1 - friction).sub_(weight.grad, alpha=lr)
                if deviation:
                    momentum.add_(torch.randn_like(weight), alpha=deviation)
                weight.add_(momentum)
