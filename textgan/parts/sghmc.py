"""Stochastic gradient Hamiltonian Monte Carlo: an optimiser whose steps draw from a distribution."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

DAMPING = 1e-4
"""Added to the root of a mean squared gradient: bounds the noise of weights that nothing pulls at."""


class SGHMC(Optimizer):
    """Weights that wander through ``p(w) ~ exp(-L(w) / temperature)``, L being the loss, whose gradient may be noisy.

    Chen, Fox and Guestrin (2014), equation 15, with no estimate of the gradient's own noise, and a step size P of each
    weight's own::

        v <- (1 - friction) v - lr P grad L(w) + N(0, 2 friction lr P temperature)
        w <- w + v

    P is 1 or, with a `decay` above 0, ``1 / (sqrt(s) + 1e-4)``, s being the running mean of the weight's squared
    gradient, as RMSprop has it (Li et al. 2016). A constant P only measures the weight in another unit, and leaves
    p(w) as it is; that it changes, slowly, with s is not accounted for, as is usual.

    Where L is a mean of -log p over N examples, -log p(w) / N added, a temperature of 1 / N gives the posterior; 0 is
    gradient descent with a momentum of 1 - friction. It is exact where lr is small against the curvature of L. Noise
    comes from torch's generator of the weights' device; v and s are state.
    """

    def __init__(
        self, weights: Iterable[Tensor], lr: float, friction: float, temperature: float, decay: float = 0.0
    ) -> None:
        options = {"lr": lr, "friction": friction, "temperature": temperature, "decay": decay}
        super().__init__(weights, options)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step(
                        weight, weight.grad, group["lr"], group["friction"], group["temperature"], group["decay"]
                    )

    def _step(
        self, weight: Tensor, slope: Tensor, lr: float, friction: float, temperature: float, decay: float
    ) -> None:
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
            state["square"], state["steps"] = torch.zeros_like(weight), 0
        own: Tensor | float = 1.0
        if decay:
            state["steps"] += 1
            mean = state["square"].mul_(decay).addcmul_(slope, slope, value=1 - decay) / (1 - decay ** state["steps"])
            own = 1 / (mean.sqrt() + DAMPING)
        momentum = state["momentum"].mul_(1 - friction).sub_(lr * own * slope)
        if temperature:
            variance = 2 * friction * lr * temperature * own
            momentum.add_(variance**0.5 * torch.randn_like(weight))
        weight.add_(momentum)
