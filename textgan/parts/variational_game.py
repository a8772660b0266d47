"""Variational autoencoders of images: one player, who raises a bound of the likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.images.spec import ImageSpec
from textgan.errors import check_above_zero, check_at_least
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_encoders import GaussianEncoder, Posterior
from textgan.networks.image_likelihoods import ImageLikelihood, LikelihoodName
from textgan.parts.autoencoder_game import AutoencoderGame
from textgan.parts.decoder_game import DecoderConfig


@dataclass(frozen=True)
class VariationalConfig(DecoderConfig):
    """Options of a variational autoencoder; `generator` is its decoder."""

    rounds: int = 2000
    """Rounds; each has one step of every player."""
    latent: int = 16
    """Numbers of a latent vector."""
    encoder: ImageDiscriminatorConfig = field(default_factory=ImageDiscriminatorConfig)
    """The encoder's network: a discriminator's layers."""
    likelihood: LikelihoodName = "gaussian"
    """How an image is distributed, given what the decoder says. bernoulli is for black and white: of levels of grey it
    leaves little for the code to say."""
    beta: float = 1.0
    """Weight of the divergence; 1 makes the loss a bound of the likelihood (another value: Higgins et al. 2017)."""
    learning_rate: float = 1e-3
    """Adam's step size."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(0, "game", self, "beta")
        check_above_zero("game", self, "learning_rate")


class VariationalGame(AutoencoderGame):
    """Encoder, decoder and likelihood learn together. A subclass has `loss`."""

    config: VariationalConfig

    def __init__(self, config: VariationalConfig, spec: ImageSpec, categories: int = 0) -> None:
        """`categories`: how many there are, where both networks are told the image's."""
        super().__init__(config, spec, categories)
        self.encoder = GaussianEncoder(config.encoder, spec, config.latent, categories)
        self.likelihood = ImageLikelihood(config.likelihood)

    def optimizers(self) -> dict[str, Optimizer]:
        return {"autoencoder": Adam(self.parameters(), lr=self.config.learning_rate)}

    def stages(self) -> Sequence[Stage]:
        return [Stage("likelihood", self.config.rounds, [Move("autoencoder", self.loss)])]

    def loss(self, real: Tensor, turn: Turn) -> Loss:
        raise NotImplementedError

    def bound(
        self,
        real: Float[Tensor, "n channels height width"],
        posterior: Posterior,
        raw: Float[Tensor, "n channels height width"],
    ) -> Loss:
        """Minus the evidence lower bound, means over images, in nats: Kingma and Welling 2014, equation 3.

        Args:
            raw: what the decoder says, before its tanh, of a code drawn from `posterior`.
        """
        self.see(real)
        reconstruction = self.likelihood(raw, real).mean()
        divergence = posterior.divergence().mean()
        terms = {"reconstruction": reconstruction, "divergence": self.config.beta * divergence}
        return Loss(terms, {"bound": reconstruction.detach() + divergence.detach()})
