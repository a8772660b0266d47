"""A small convolutional classifier of images: what measurements look through."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

LARGE = 16
"""Pixels a side from which on an image is halved by the first convolution already: a quarter of the work."""


class ImageClassifier(nn.Module):
    """3 x 3 convolutions, halving while the image has 6 pixels a side or more, then features, then a logit a class."""

    def __init__(self, channels: int, size: int, classes: int, width: int = 32, features: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        if size >= LARGE:
            layers.append(nn.MaxPool2d(2))
            size //= 2
        while size >= 6:
            wider = min(2 * width, 128)
            layers += [nn.Conv2d(width, wider, 3, padding=1), nn.BatchNorm2d(wider), nn.ReLU(), nn.MaxPool2d(2)]
            width, size = wider, size // 2
        layers += [nn.Conv2d(width, features, 3, padding=1), nn.BatchNorm2d(features), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.output = nn.Linear(features, classes)

    def features(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n features"]:
        """Means over all places."""
        return self.body(images).mean((2, 3))

    def forward(self, images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n classes"]:
        """Logits."""
        return self.output(F.dropout(self.features(images), 0.2, self.training))


def rotations(images: Float[Tensor, "n channels size size"]) -> tuple[Tensor, Tensor]:
    """Every image turned by 0, 90, 180 and 270 degrees, and which turn that was: labels where there are none."""
    turned = [torch.rot90(images, k, (2, 3)) for k in range(4)]
    return torch.cat(turned), torch.arange(4, device=images.device).repeat_interleave(len(images))
