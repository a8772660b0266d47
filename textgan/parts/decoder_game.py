"""What games have in common whose images are functions of a latent vector, whoever their players are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from textgan.data.images.spec import ImageSpec
from textgan.errors import check_at_least
from textgan.game import Game
from textgan.latents import LatentName, draw_latents
from textgan.networks.image_generators import ImageGenerator, ImageGeneratorConfig


@dataclass(frozen=True)
class DecoderConfig:
    """The generator, and how long it learns."""

    batch_size: int = 64
    """Real images of each step."""
    rounds: int = 3000
    """Rounds; each has one step of every player."""
    latent: int = 64
    """Numbers of a latent vector."""
    generator: ImageGeneratorConfig = field(default_factory=ImageGeneratorConfig)
    """The network that makes images."""

    def __post_init__(self) -> None:
        check_at_least(2, "game", self, "batch_size")
        check_at_least(1, "game", self, "rounds", "latent")


class DecoderGame(Game):
    """Has a generator. A subclass has the other players."""

    data: ClassVar[str] = "images"
    prior: LatentName = "gaussian"
    """What latent vectors are drawn from."""

    def __init__(self, config: DecoderConfig, spec: ImageSpec, condition: int = 0) -> None:
        """`condition`: numbers that the generator is told beside the latent vector."""
        super().__init__()
        self.config, self.spec = config, spec
        self.batch_size = config.batch_size
        self.generator = ImageGenerator(config.generator, spec, config.latent + condition)

    def latents(self, n: int) -> Float[Tensor, "n size"]:
        """`n` latent vectors, on the generator's device."""
        return draw_latents(n, self.config.latent, self.prior, next(self.generator.parameters()).device)

    def decode(self, latents: Float[Tensor, "n size"]) -> Float[Tensor, "n channels height width"]:
        """The images of latent vectors."""
        return self.generator(latents)

    def sample(self, n: int) -> Float[Tensor, "n channels height width"]:
        return self.decode(self.latents(n))
