"""f-GAN: the generator lowers an f-divergence by its variational bound (Nowozin, Cseke and Tomioka, 2016).

V is the discriminator's raw score, g an activation that maps it into the domain of the conjugate f* (equations 4 to 6;
tables 1, 2 and 6)::

    L_D = -(E g(V(x)) - E f*(g(V(G(z)))))        L_G = -E f*(g(V(G(z))))

At its best over all V the bound is the divergence D_f(P||Q) of real images P from fakes Q; it is the value in the log.
``loss`` is one of nine: total_variation, kl, reverse_kl, pearson, neyman, squared_hellinger, jeffrey, jensen_shannon,
and saturating, the GAN of 2014. With ``alternative: true`` the generator raises ``E g(V(G(z)))`` instead (section 3.2),
whose gradient is large where fakes are told from real images.

Differs from the paper: convolutions for multilayer perceptrons; batches are smaller; the gradient's norm is bounded,
as the conjugates grow exponentially; Neyman's activation has the other sign, so that the higher score is the more real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from textgan.errors import check_above_zero, check_fields
from textgan.game import Move, Stage
from textgan.losses import F_DIVERGENCES, OBJECTIVES, ObjectiveName
from textgan.parts.image_game import TINY_IMAGE_GAME, ConvolutionalGameConfig, ImageGame
from textgan.parts.referee import Referee


@dataclass(frozen=True)
class Config(ConvolutionalGameConfig):
    """A divergence by its bound."""

    loss: ObjectiveName = "pearson"
    """The divergence."""
    alternative: bool = False
    """The generator raises the activation of its images' scores, rather than lowering the bound."""
    clip: float = 1.0
    """Largest norm of a gradient, of either side."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields("game", self, f"one of {', '.join(F_DIVERGENCES)}", lambda name: name in F_DIVERGENCES, "loss")
        check_above_zero("game", self, "clip")


TINY = Config(**TINY_IMAGE_GAME)


class FGAN(ImageGame):
    """A generator and a network that bounds the divergence from below."""

    config: Config

    def make_referee(self) -> Referee:
        name, objective = self.config.loss, OBJECTIVES[self.config.loss]

        def raise_activation(real: Tensor, fake: Tensor) -> Tensor:
            return -F_DIVERGENCES[name].activation(fake.float()).mean()

        if self.config.alternative:
            objective = objective._replace(generator=raise_activation)
        return Referee(name, self.config.tricks, objective)

    def stages(self) -> Sequence[Stage]:
        """With bounded gradients."""
        return [
            replace(stage, moves=[replace(m, clip=self.config.clip) for m in stage.moves if isinstance(m, Move)])
            for stage in super().stages()
        ]
