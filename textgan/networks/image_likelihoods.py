"""The density of an image under what a decoder says of it."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

LikelihoodName = Literal["bernoulli", "gaussian"]
"""bernoulli: each number is light with a probability, and a level of grey is a share of light. gaussian: each number
has a normal distribution; all have one deviation, which is learned."""


class ImageLikelihood(nn.Module):
    """-log p(x|z) of images in [-1, 1], given what a decoder says before its tanh."""

    def __init__(self, name: LikelihoodName) -> None:
        super().__init__()
        self.log_deviation = nn.Parameter(torch.zeros(())) if name == "gaussian" else None

    def forward(
        self, raw: Float[Tensor, "n channels height width"], images: Float[Tensor, "n channels height width"]
    ) -> Float[Tensor, " n"]:
        """The sum over all numbers of an image, in nats.

        bernoulli, t = (1 + x) / 2, p = sigmoid(2 raw) = (1 + tanh(raw)) / 2::

            -t log p - (1 - t) log(1 - p)

        gaussian, deviation s::

            (x - tanh(raw))^2 / (2 s^2) + log s + log(2 pi) / 2
        """
        raw, images = raw.float(), images.float()
        if self.log_deviation is None:
            found = F.binary_cross_entropy_with_logits(2 * raw, (1 + images) / 2, reduction="none")
        else:
            scaled = (images - raw.tanh()) / self.log_deviation.exp()
            found = scaled.square() / 2 + self.log_deviation + math.log(2 * math.pi) / 2
        return found.flatten(1).sum(1)
