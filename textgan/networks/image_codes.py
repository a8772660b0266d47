"""A discriminator that reads, from the features that its score is made of, which codes an image was made from."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec
from textgan.networks.image_blocks import with_spectral_norm
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig


class CodeReader(nn.Module):
    """A score, and `outputs` numbers by a hidden layer of their own, of the same features.

    Args:
        bias: of the score; without one where the objective does not see it.
    """

    def __init__(
        self, config: ImageDiscriminatorConfig, spec: ImageSpec, outputs: int, hidden: int, bias: bool = True
    ) -> None:
        super().__init__()
        self.body = ImageDiscriminator(config, spec, bias=bias)
        self.read = nn.Sequential(nn.Linear(self.body.size, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, outputs))
        if config.spectral:
            with_spectral_norm(self.read)

    def forward(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n more"]:
        """The score first, then the other numbers."""
        features = self.body.features(images)
        return torch.cat([self.body.judge(features)[:, None], self.read(features)], 1)
