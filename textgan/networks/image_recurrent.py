"""A generator that paints in steps (Im et al. 2016)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGenerator, ImageGeneratorConfig


class RecurrentGenerator(nn.Module):
    """A decoder f of the latent and of what an encoder g has seen of the stroke before::

        h_z = tanh(W z + b)      h_1 = 0      h_t = tanh(g(dC_{t-1}))      dC_t = f([h_z, h_t])

    and the image is ``tanh(sum_t dC_t)``.
    """

    def __init__(
        self,
        decoder: ImageGeneratorConfig,
        encoder: ImageDiscriminatorConfig,
        spec: ImageSpec,
        latent: int,
        steps: int,
    ) -> None:
        super().__init__()
        self.shape, self.steps = spec.shape, steps
        self.latent = nn.Linear(latent, latent)
        self.decoder = ImageGenerator(decoder, spec, 2 * latent)
        self.encoder = ImageDiscriminator(encoder, spec, outputs=latent)

    def forward(self, latents: Float[Tensor, "n latent"]) -> Float[Tensor, "n channels height width"]:
        return self.canvases(latents)[:, -1]

    def canvases(self, latents: Float[Tensor, "n latent"]) -> Float[Tensor, "n steps channels height width"]:
        """The image after each step."""
        wanted = self.latent(latents).tanh()
        seen = torch.zeros_like(wanted)
        strokes: list[Tensor] = []
        for step in range(self.steps):
            if step:
                seen = self.encoder(strokes[-1]).tanh()
            strokes.append(self.decoder.body(torch.cat([wanted, seen], 1)).view(-1, *self.shape))
        return torch.stack(strokes, 1).cumsum(1).tanh()
