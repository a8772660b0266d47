"""A decoder and an encoder of images: what games have in common that can show an image again."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from textgan.data.images.spec import ImageSpec
from textgan.parts.decoder_game import DecoderConfig, DecoderGame
from textgan.parts.latent_sheets import arithmetic_sheet, reconstruction_sheet
from textgan.parts.pools import Pool

SEEN = 128
"""Real images that are kept to be shown again."""


class AutoencoderGame(DecoderGame):
    """A subclass has `encode`, and calls `see` in the loss that its encoder learns from."""

    def __init__(self, config: DecoderConfig, spec: ImageSpec, condition: int = 0) -> None:
        super().__init__(config, spec, condition)
        self.seen = Pool(SEEN, *spec.shape, dtype=torch.float32)

    def see(self, real: Float[Tensor, "n channels height width"]) -> None:
        """Keep the last real images, for sheets."""
        self.seen.add(real[:SEEN])

    def encode(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n size"]:
        """The code of each image, without chance."""
        raise NotImplementedError

    def sheets(self) -> Mapping[str, Tensor]:
        """Training images again, and arithmetic with their codes. Nothing before there are any."""
        images = self.seen.items[: self.seen.held]
        if not len(images):
            return {}
        codes = self.encode(images)
        return {
            "reconstruction": reconstruction_sheet(images, self.decode(codes)),
            "arithmetic": arithmetic_sheet(images, codes, self.decode),
        }
