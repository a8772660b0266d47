"""Adversarial objectives and penalties: pure functions, shared by text and images.

An objective is what a discriminator and a generator minimise, given the discriminator's raw scores (logits, or a
critic's values) of real and of generated samples. All logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Halves = tuple[Tensor, Tensor]
"""What is minimised on real samples and on fakes: two scalars."""


class Objective(NamedTuple):
    """A pair of losses of real scores ``(n, ...)`` and fake scores ``(m, ...)``."""

    discriminator: Callable[[Tensor, Tensor], Halves]
    """Its two halves; their sum is minimised."""
    generator: Callable[[Tensor, Tensor], Tensor]
    """A scalar. Most look at the fakes alone; the relativistic ones at both."""
    reward: Callable[[Tensor], Tensor] = torch.sigmoid
    """What a sample is worth to a policy gradient, by its score: the probability that it is real, where it is one."""
    has_level: bool = True
    """Whether adding a number to all scores changes anything. Where not, a last layer's bias could not learn."""
    boundary: float = 0.0
    """The score of what is as likely real as generated."""


def discriminator_loss(real: Float[Tensor, "n *votes"], fake: Float[Tensor, "m *votes"]) -> Halves:
    """The discriminator's two halves, ``-E log s(real)`` and ``-E log(1 - s(fake))``, s = sigmoid.

    Goodfellow et al. 2014, equation 1. Takes logits; returns scalars in nats.
    """
    return F.softplus(-real.float()).mean(), F.softplus(fake.float()).mean()


def accuracy(real: Float[Tensor, "n *votes"], fake: Float[Tensor, "m *votes"]) -> Float[Tensor, ""]:
    """Share of logits on the right side of 0, real and fake weighing half each."""
    return ((real > 0).float().mean() + (fake < 0).float().mean()) / 2


def _non_saturating(real: Tensor, fake: Tensor) -> Tensor:
    """``-E log s(fake)``: Goodfellow et al. 2014, section 3."""
    return F.softplus(-fake.float()).mean()


def _saturating(real: Tensor, fake: Tensor) -> Tensor:
    """``E log(1 - s(fake))``: the minimax game itself, Goodfellow et al. 2014, equation 1."""
    return -F.softplus(fake.float()).mean()


def _wasserstein(real: Tensor, fake: Tensor) -> Halves:
    """``-E f(real)`` and ``E f(fake)``: Arjovsky et al. 2017, equation 2. The critic has to be kept Lipschitz."""
    return -real.float().mean(), fake.float().mean()


def _raise_score(real: Tensor, fake: Tensor) -> Tensor:
    """``-E f(fake)``."""
    return -fake.float().mean()


def _hinge(real: Tensor, fake: Tensor) -> Halves:
    """``E max(0, 1 - f(real))`` and ``E max(0, 1 + f(fake))``: Lim and Ye 2017."""
    return F.relu(1 - real.float()).mean(), F.relu(1 + fake.float()).mean()


def least_squares(fake_label: float, real_label: float, target: float) -> Objective:
    """Half of ``E (f(real) - b)^2``, of ``E (f(fake) - a)^2`` and, for the generator, of ``E (f(fake) - c)^2``.

    Mao et al. 2017, equation 2, with the labels a of fakes and b of real samples, and what the generator wants, c.
    """

    def halves(real: Tensor, fake: Tensor) -> Halves:
        return (real.float() - real_label).square().mean() / 2, (fake.float() - fake_label).square().mean() / 2

    def towards(real: Tensor, fake: Tensor) -> Tensor:
        return (fake.float() - target).square().mean() / 2

    return Objective(halves, towards, reward=torch.Tensor.float, boundary=(fake_label + real_label) / 2)


def _relativistic(real: Tensor, fake: Tensor) -> Halves:
    """``-E log s(f(real) - f(fake))``, in two equal halves: Jolicoeur-Martineau 2018, equation 5. Pairs row by row."""
    half = F.softplus(fake.float() - real.float()).mean() / 2
    return half, half


def _relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """``-E log s(f(fake) - f(real))``: Jolicoeur-Martineau 2018, equation 6."""
    return F.softplus(real.float() - fake.float()).mean()


def _relativistic_average(real: Tensor, fake: Tensor) -> Halves:
    """``-E log s(f(real) - E f(fake))`` and ``-E log(1 - s(f(fake) - E f(real)))``: Jolicoeur-Martineau 2018, eq. 8."""
    real, fake = real.float(), fake.float()
    return F.softplus(fake.mean(0) - real).mean(), F.softplus(fake - real.mean(0)).mean()


def _relativistic_average_generator(real: Tensor, fake: Tensor) -> Tensor:
    """The same with real and fake exchanged."""
    return sum(_relativistic_average(fake, real), torch.zeros((), device=fake.device))


class Divergence(NamedTuple):
    """An f-divergence by its variational bound: ``E activation(v(real)) - E conjugate(activation(v(fake)))``.

    Nowozin, Cseke and Tomioka 2016, tables 1, 2 and 6. (Neyman's activation has -v for the paper's v, so that the
    higher score is the more real, as with all others.)
    """

    activation: Callable[[Tensor], Tensor]
    """g_f, which maps raw scores v into the domain of f*."""
    conjugate: Callable[[Tensor], Tensor]
    """f*, the Fenchel conjugate of f."""
    boundary: float = 0.0
    """The score v at which ``activation(v) = f'(1)``: the best one where both densities are equal."""


LOG2 = 0.6931471805599453

F_DIVERGENCES: dict[str, Divergence] = {
    "total_variation": Divergence(lambda v: v.tanh() / 2, lambda t: t),
    "kl": Divergence(lambda v: v, lambda t: (t - 1).exp(), boundary=1.0),
    "reverse_kl": Divergence(lambda v: -(-v).exp(), lambda t: -1 - (-t).log()),
    "pearson": Divergence(lambda v: v, lambda t: t.square() / 4 + t),
    "neyman": Divergence(lambda v: 1 - (-v).exp(), lambda t: 2 - 2 * (1 - t).sqrt()),
    "squared_hellinger": Divergence(lambda v: 1 - (-v).exp(), lambda t: t / (1 - t)),
    "jeffrey": Divergence(lambda v: v, lambda t: _lambert(t) + 1 / _lambert(t) + t - 2),
    "jensen_shannon": Divergence(lambda v: LOG2 - F.softplus(-v), lambda t: -(2 - t.exp()).log()),
    "saturating": Divergence(lambda v: -F.softplus(-v), lambda t: -(1 - t.exp()).log()),
}
"""The nine divergences of the paper, by name; what it calls that of GAN is ``saturating``. Scores are raw."""


def _lambert(t: Tensor) -> Tensor:
    """W(exp(1 - t)), W Lambert's function, as Jeffrey's conjugate has it: the w > 0 with w + log w = 1 - t.

    Newton's method on log w, from a point where it converges from one side; the last step carries the gradient.
    """
    y = 1 - t
    with torch.no_grad():
        log_w = torch.where(y > 1, y.clamp(min=1).log(), y)
        for _ in range(8):
            log_w = log_w - (log_w + log_w.exp() - y) / (1 + log_w.exp())
    return (log_w - (log_w + log_w.exp() - y) / (1 + log_w.exp())).exp()


def _f_divergence(divergence: Divergence) -> Objective:
    """The discriminator raises the bound; the generator lowers it: Nowozin et al. 2016, equations 4 to 6."""

    def halves(real: Tensor, fake: Tensor) -> Halves:
        activated = divergence.activation(fake.float())
        return -divergence.activation(real.float()).mean(), divergence.conjugate(activated).mean()

    return Objective(
        halves, lambda real, fake: -halves(real, fake)[1], divergence.activation, boundary=divergence.boundary
    )


OBJECTIVES: dict[str, Objective] = {
    "standard": Objective(discriminator_loss, _non_saturating),
    "least_squares": least_squares(0.0, 1.0, 1.0),
    "wasserstein": Objective(_wasserstein, _raise_score, reward=torch.Tensor.float, has_level=False),
    "hinge": Objective(_hinge, _raise_score, reward=torch.Tensor.float),
    "relativistic": Objective(_relativistic, _relativistic_generator, has_level=False),
    "relativistic_average": Objective(_relativistic_average, _relativistic_average_generator, has_level=False),
    **{name: _f_divergence(divergence) for name, divergence in F_DIVERGENCES.items()},
    "saturating": Objective(discriminator_loss, _saturating),  # the same as by its bound, and finite for every score
}
"""Every objective by its name."""

ObjectiveName = Literal[
    "standard", "saturating", "least_squares", "wasserstein", "hinge", "relativistic", "relativistic_average",
    "total_variation", "kl", "reverse_kl", "pearson", "neyman", "squared_hellinger", "jeffrey", "jensen_shannon",
]  # fmt: skip
"""What a config may say."""
assert set(get_args(ObjectiveName)) == set(OBJECTIVES)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Float[Tensor, "n ..."], fake: Float[Tensor, "n ..."]
) -> Float[Tensor, ""]:
    """``E (|grad f(x^)| - 1)^2`` at random points between real and fake: WGAN-GP, equation 3 (Gulrajani et al. 2017).

    One mixing weight a sample.
    """
    weight = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    return slope_penalty(critic, weight * real.float() + (1 - weight) * fake.float())


def slope_penalty(critic: Callable[[Tensor], Tensor], points: Float[Tensor, "n ..."]) -> Float[Tensor, ""]:
    """``E (|grad f(x)| - 1)^2`` at some points. One norm a sample, always in float32."""
    with torch.autocast(points.device.type, enabled=False):
        points = points.detach().float().requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
        return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


def r1_penalty(score: Callable[[Tensor], Tensor], real: Float[Tensor, "n ..."]) -> Float[Tensor, ""]:
    """``E |grad f(x)|^2`` on real samples: R1 without its factor gamma / 2 (Mescheder et al. 2018, equation 9).

    One norm a sample, always in float32.
    """
    with torch.autocast(real.device.type, enabled=False):
        real = real.detach().float().requires_grad_(True)
        (slope,) = torch.autograd.grad(score(real).sum(), real, create_graph=True)
        return slope.square().flatten(1).sum(1).mean()
