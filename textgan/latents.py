"""Latent vectors: how they are drawn and what lies between two of them."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

LatentName = Literal["gaussian", "sphere", "uniform"]
"""What latent vectors are drawn from. gaussian: N(0, 1). sphere: the same, of length sqrt(size). uniform: [-1, 1]."""


def draw_latents(n: int, size: int, name: LatentName, device: torch.device) -> Float[Tensor, "n size"]:
    """`n` latent vectors."""
    if name == "uniform":
        return torch.rand(n, size, device=device) * 2 - 1
    z = torch.randn(n, size, device=device)
    return z if name == "gaussian" else on_sphere(z)


def on_sphere(z: Float[Tensor, "*n size"]) -> Float[Tensor, "*n size"]:
    """Vectors of the same directions and of length sqrt(size), where almost all of a Gaussian's mass lies."""
    return z / z.norm(dim=-1, keepdim=True).clamp(min=1e-12) * z.shape[-1] ** 0.5


def great_circle(
    start: Float[Tensor, "n size"], end: Float[Tensor, "n size"], steps: int
) -> Float[Tensor, "n steps size"]:
    """`steps` vectors from start to end along the great circle between them, both ends among them.

    ``sin((1-t) w) / sin w * start + sin(t w) / sin w * end``, w being the angle between them (Shoemake 1985; White
    2016). A straight line leads through shorter vectors, which a Gaussian generator has never seen.
    """
    directions = [v / v.norm(dim=1, keepdim=True).clamp(min=1e-12) for v in (start, end)]
    angle = (directions[0] * directions[1]).sum(1).clamp(-1, 1).acos().clamp(1e-4, torch.pi - 1e-4)[:, None, None]
    t = torch.linspace(0, 1, steps, device=start.device)[:, None]
    weights = ((1 - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin()
    return weights[0] * start[:, None] + weights[1] * end[:, None]
