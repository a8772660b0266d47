"""Adversarial objectives and penalties: pure functions, shared by text and images."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def discriminator_loss(real: Float[Tensor, " n"], fake: Float[Tensor, " m"]) -> tuple[Tensor, Tensor]:
    """The discriminator's two halves, ``-E log s(real)`` and ``-E log(1 - s(fake))``, s = sigmoid.

    Goodfellow et al. 2014, equation 1. Takes logits; returns scalars in nats.
    """
    return F.softplus(-real.float()).mean(), F.softplus(fake.float()).mean()


def accuracy(real: Float[Tensor, " n"], fake: Float[Tensor, " m"]) -> Float[Tensor, ""]:
    """Share of logits on the right side of 0, real and fake weighing half each."""
    return ((real > 0).float().mean() + (fake < 0).float().mean()) / 2


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Float[Tensor, "n ..."], fake: Float[Tensor, "n ..."]
) -> Float[Tensor, ""]:
    """``E (|grad f(x^)| - 1)^2`` at random points between real and fake: WGAN-GP, equation 3 (Gulrajani et al. 2017).

    One mixing weight and one norm a sample, always in float32.
    """
    with torch.autocast(real.device.type, enabled=False):
        weight = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
        between = (weight * real.float() + (1 - weight) * fake.float()).requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
