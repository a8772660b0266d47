"""FM-GAN: text generation by the feature-mover's distance (Chen et al.; NeurIPS 2018; arXiv 1809.06297).

As in TextGAN, the generator writes a sentence as a function of a code z ~ N(0, I) and matches the distribution of a
discriminator's features f; here by optimal transport (eqs. 4 to 6)::

    FMD = min_P sum_ij P_ij c(f(real_i), f(fake_j)),   c(a, b) = 1 - cos(a, b),   P with even sums of rows and columns
    L_G = FMD        L_D = -FMD

so the discriminator is a mere extractor of features: it has no verdict. The plan P is found by IPOT (proximal points)
or by Sinkhorn's iterations, and held fixed while the costs are derived. Words in the game are softmax(logits /
temperature), a soft argmax, and are read on as mixtures of embeddings.

Differs from the paper: both networks are pretrained together as an autoencoder whose codes are held to N(0, I) (see
`parts/latent_game.py`); style transfer, the paper's second task, is not here; Sinkhorn's plan, which the paper argues
against, and words drawn given z are switches; the soft argmax sharpens over the game. There is no density: the code
would have to be integrated out. ``configs/fm_gan-oracle.yaml`` and ``configs/fm_gan-captions.yaml`` are presets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.distances import TransportName, feature_movers_distance
from textgan.errors import check_above_zero, check_at_least
from textgan.game import Loss, Stage, Turn
from textgan.networks.modes import evaluating
from textgan.parts.latent_game import TINY_LATENT, LatentGame, LatentGameConfig


@dataclass(frozen=True)
class Config(LatentGameConfig):
    """FM-GAN."""

    transport: TransportName = "ipot"
    """How the plan is found: ipot (the paper) or sinkhorn."""
    softness: float = 0.5
    """ipot: its step. sinkhorn: epsilon, the weight of the plan's entropy."""
    iterations: int = 50
    """Iterations of either."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "iterations")
        check_above_zero("game", self, "softness")


TINY = Config(**TINY_LATENT)


class FMGAN(LatentGame):
    """Generator and features, together before the game and against each other in it."""

    config: Config

    def optimizers(self) -> dict[str, Optimizer]:
        read_off = {id(parameter) for parameter in self.discriminator.output.parameters()}
        of_features = [p for p in self.discriminator.parameters() if id(p) not in read_off]
        return {
            **self.autoencoder_optimizer(),
            "generator": Adam(self.generator.parameters(), lr=self.config.learning_rate),
            "discriminator": Adam(of_features, lr=self.config.discriminator_learning_rate),
        }

    def stages(self) -> Sequence[Stage]:
        return self.after_autoencoder(self._spread, self._match)

    def _match(self, real: Tensor, turn: Turn) -> Loss:
        with evaluating(self.discriminator):
            fake = self.features_of(self.fakes(self.codes(len(real)), turn))
            return Loss({"moved": self._distance(self.features(real), fake)})

    def _spread(self, real: Tensor, turn: Turn) -> Loss:
        with torch.no_grad():
            fakes = self.fakes(self.codes(len(real)), turn)
        return Loss({"moved": -self._distance(self.features(real), self.features_of(fakes))})

    def _distance(self, real: Tensor, fake: Tensor) -> Tensor:
        config = self.config
        return feature_movers_distance(real, fake, config.transport, config.softness, config.iterations)
