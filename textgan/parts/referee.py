"""What a discriminator and a generator of images minimise: an adversarial objective, and the tricks of the trade.

Every trick is a switch, off by default, of any game that has a referee ("How to Train a GAN", Chintala et al. 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from textgan.errors import UserError, check_at_least, check_fields, check_share
from textgan.game import Loss, Turn
from textgan.losses import OBJECTIVES, Objective, ObjectiveName, accuracy

Score = Callable[[Tensor], Tensor]
"""From images to raw scores."""


@dataclass(frozen=True)
class TricksConfig:
    """What has been found to steady the game."""

    real_labels: tuple[float, float] = (1.0, 1.0)
    """Labels of real images are drawn from this range: 0.7 1.2 is soft and noisy (loss standard or saturating)."""
    fake_labels: tuple[float, float] = (0.0, 0.0)
    """The same of fakes: 0 0.3."""
    flipped: float = 0.0
    """Share of a discriminator's images whose label is turned round, in [0, 1)."""
    instance_noise: float = 0.0
    """Standard deviation of Gaussian noise on all images that a discriminator sees, falling to 0 over the stage
    (Sonderby et al. 2017)."""
    together: bool = False
    """A discriminator sees real images and fakes in one batch: with batch norm their statistics are then shared."""
    diversity: float = 0.0
    """Weight of the mode-seeking term in the generator's loss (Mao et al. 2019): images of two latents must differ."""

    def __post_init__(self) -> None:
        check_fields("tricks", self, "two numbers, the smaller first", _is_range, "real_labels", "fake_labels")
        check_share("tricks", self, "flipped")
        check_at_least(0, "tricks", self, "instance_noise", "diversity")

    @property
    def changes_labels(self) -> bool:
        return self.real_labels != (1.0, 1.0) or self.fake_labels != (0.0, 0.0) or self.flipped > 0


class Referee:
    """The losses of both sides under an objective, with the tricks that are switched on."""

    def __init__(self, name: ObjectiveName, tricks: TricksConfig, objective: Objective | None = None) -> None:
        """`objective`: a variant of the one by that name."""
        if tricks.changes_labels and name not in ("standard", "saturating"):
            raise UserError(
                f"loss is {name!r}, which has no labels; with label tricks it must be standard or saturating"
            )
        self.objective, self.tricks = objective or OBJECTIVES[name], tricks

    def discriminator(self, score: Score, real: Tensor, fake: Tensor, turn: Turn) -> Loss:
        """Of real images ``(n, C, H, W)`` and as many or other many fakes, which are held fixed.

        Its info: the share of images on the right side of the objective's boundary, and the value of the game, what the
        discriminator raises (for standard -2 ln 2 where nothing can be told).
        """
        return self.discriminator_of(*self.scores(score, real, fake, turn))

    def discriminator_of(self, of_real: Tensor, of_fake: Tensor) -> Loss:
        """The same of the scores themselves."""
        if self.tricks.changes_labels:
            halves = self._against_labels(of_real, True), self._against_labels(of_fake, False)
        else:
            halves = self.objective.discriminator(of_real, of_fake)
        boundary = self.objective.boundary
        info = {"accuracy": accuracy(of_real - boundary, of_fake - boundary), "value": -(halves[0] + halves[1])}
        return Loss({"real": halves[0], "fake": halves[1]}, info)

    def scores(self, score: Score, real: Tensor, fake: Tensor, turn: Turn) -> tuple[Tensor, Tensor]:
        """What a discriminator says of real images and of fakes, which are held fixed: with noise, in one batch."""
        std = self.tricks.instance_noise * (1 - turn.progress)
        real, fake = with_noise(real, std), with_noise(fake.detach(), std)
        if not self.tricks.together:
            return score(real), score(fake)
        both = score(torch.cat([real, fake]))
        return both[: len(real)], both[len(real) :]

    def generator(self, score: Score, real: Tensor, fake: Tensor, turn: Turn) -> Tensor:
        """Of fakes ``(n, C, H, W)``; the relativistic objectives look at real images too. A scalar."""
        std = self.tricks.instance_noise * (1 - turn.progress)
        with torch.no_grad():
            of_real = score(with_noise(real, std))
        return self.objective.generator(of_real, score(with_noise(fake, std)))

    def diversity(self, fake: Tensor, latents: Tensor) -> dict[str, Tensor]:
        """The mode-seeking term, where it is switched on."""
        return {"diversity": self.tricks.diversity * mode_seeking(fake, latents)} if self.tricks.diversity else {}

    def _against_labels(self, scores: Tensor, real: bool) -> Tensor:
        low, high = self.tricks.real_labels if real else self.tricks.fake_labels
        labels = low + (high - low) * torch.rand_like(scores.float())
        turned = torch.rand_like(labels) < self.tricks.flipped
        return labelled_loss(scores, torch.where(turned, 1 - labels, labels))


def labelled_loss(scores: Float[Tensor, "n *votes"], labels: Float[Tensor, "n *votes"]) -> Float[Tensor, ""]:
    """``-E [t log s(x) + (1 - t) log(1 - s(x))]`` of logits x and labels t, which may lie outside of [0, 1]."""
    scores = scores.float()
    return (labels * F.softplus(-scores) + (1 - labels) * F.softplus(scores)).mean()


def with_noise(images: Tensor, std: float) -> Tensor:
    """Images with Gaussian noise; themselves where there is none."""
    return images + std * torch.randn_like(images) if std else images


def mode_seeking(made: Float[Tensor, "n *shape"], latents: Float[Tensor, "n *size"]) -> Float[Tensor, ""]:
    """``1 / E [|G(z_1) - G(z_2)|_1 / |z_1 - z_2|_1]``, means over numbers: Mao et al. 2019, equation 2, as their code
    has it. Pairs are each example and the next."""
    apart = (made - made.roll(1, 0)).abs().flatten(1).mean(1)
    moved = (latents - latents.roll(1, 0)).abs().flatten(1).mean(1)
    return 1 / ((apart / moved.clamp(min=1e-8)).mean() + 1e-5)


def _is_range(pair: tuple[float, float]) -> bool:
    return pair[0] <= pair[1]
