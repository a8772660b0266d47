"""How well images go together, by the cosine of their embeddings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig


class ImageMatcher(nn.Module):
    """``cos(e(q), e(d)) / temperature`` for all pairs of two sets; with `level` times a learned factor, plus a level.

    A softmax over documents has no use for a level, a probability that a pair belongs together needs one.

    Args:
        size: numbers of an embedding e.
    """

    def __init__(
        self, config: ImageDiscriminatorConfig, spec: ImageSpec, size: int, temperature: float, level: bool = False
    ) -> None:
        super().__init__()
        self.encoder = ImageDiscriminator(config, spec, outputs=size)
        self.temperature = temperature
        self.factor = nn.Parameter(torch.ones(())) if level else None
        self.level = nn.Parameter(torch.zeros(())) if level else None

    def forward(
        self,
        queries: Float[Tensor, "queries channels height width"],
        documents: Float[Tensor, "documents channels height width"],
    ) -> Float[Tensor, "queries documents"]:
        first, second = (F.normalize(self.encoder(images).float(), dim=1) for images in (queries, documents))
        cosines = torch.einsum("qe,de->qd", first, second).float() / self.temperature
        return cosines if self.factor is None or self.level is None else self.factor * cosines + self.level


def same_images(
    queries: Float[Tensor, "queries channels height width"],
    documents: Float[Tensor, "documents channels height width"],
) -> Bool[Tensor, "queries documents"]:
    """Which pairs are the same image twice."""
    _, name = torch.cat([queries, documents]).flatten(1).unique(dim=0, return_inverse=True)
    return name[: len(queries), None] == name[len(queries) :]
