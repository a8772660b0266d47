"""Captions: read, made into the condition of a generator, held against images by a discriminator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.images.captions import CaptionedSpec
from textgan.errors import check_at_least
from textgan.networks.image_blocks import with_spectral_norm
from textgan.networks.image_conditioning import SLOPE, hidden_layer
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.networks.image_encoders import Posterior
from textgan.networks.recurrent import BidirectionalLSTM, ends


@dataclass(frozen=True)
class CaptionConfig:
    """How captions are read. Every network reads them by itself."""

    embedding: int = 32
    """Numbers of a word's vector."""
    hidden: int = 32
    """Units of the LSTM, in each direction."""
    condition: int = 32
    """Numbers of the condition that a generator is given."""

    def __post_init__(self) -> None:
        check_at_least(1, "captions", self, "embedding", "hidden", "condition")


class CaptionReader(nn.Module):
    """A vector of a caption: what an LSTM knows when it has read it forwards, and one when it has read it backwards.

    Its numbers have mean 0 and deviation 1 at first: an LSTM says nearly the same of all captions before it learns.
    """

    def __init__(self, config: CaptionConfig, spec: CaptionedSpec) -> None:
        super().__init__()
        self.pad, self.size = spec.pad, 2 * config.hidden
        self.table = nn.Embedding(spec.vocab_size, config.embedding)
        self.lstm = BidirectionalLSTM(config.embedding, config.hidden, 1)
        self.norm = nn.LayerNorm(self.size)

    def forward(self, caption: Int[Tensor, "n length"]) -> Float[Tensor, "n size"]:
        lengths = (caption != self.pad).sum(1).clamp(min=1)
        return self.norm(ends(self.lstm(self.table(caption), lengths), lengths))


class Augmentation(nn.Module):
    """Conditioning augmentation: ``N(mu(phi), Sigma(phi))`` of a caption's vector phi (Zhang et al. 2017, section 3.2).

    A condition is drawn from it, so that there are more of them than captions, without gaps between them.
    """

    def __init__(self, config: CaptionConfig, spec: CaptionedSpec) -> None:
        super().__init__()
        self.size = config.condition
        self.read = CaptionReader(config, spec)
        self.map = nn.Linear(self.read.size, 2 * self.size)

    def forward(self, caption: Int[Tensor, "n length"]) -> Posterior:
        return Posterior(*self.map(self.read(caption)).chunk(2, 1))


class CaptionedDiscriminator(nn.Module):
    """Votes on images and captions: a hidden layer of the image's features, joined with the caption's vector; a hidden
    layer of both; a vote. A second vote is on the image alone.

    Args:
        alone: whether there is that second vote.
        bias: of the last layers; without one where the objective does not see it.
    """

    def __init__(
        self,
        config: ImageDiscriminatorConfig,
        captions: CaptionConfig,
        spec: CaptionedSpec,
        alone: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        size = 4 * config.width
        self.votes = 1 + alone
        self.body = ImageDiscriminator(config, spec, outputs=size)
        self.read = CaptionReader(captions, spec)
        self.both = hidden_layer(nn.Linear(size + self.read.size, size))
        self.match = nn.Linear(size, 1, bias=bias)
        self.alone = nn.Linear(size, 1, bias=bias) if alone else None
        if config.spectral:
            for layer in (self.both, self.match, self.alone):
                with_spectral_norm(layer) if layer is not None else None

    def forward(
        self, images: Float[Tensor, "n channels height width"], caption: Int[Tensor, "n length"]
    ) -> Float[Tensor, "n votes"]:
        """The vote on both first."""
        hidden = F.leaky_relu(self.body(images), SLOPE)
        match = self.match(self.both(torch.cat([hidden, self.read(caption)], 1)))
        return match if self.alone is None else torch.cat([match, self.alone(hidden)], 1)
