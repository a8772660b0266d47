"""An encoder of levels, and a generator that goes down what the encoder goes up (Huang et al. 2017).

Level 0 is the image, level i what the encoder makes of level i - 1, and the last one the category.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec
from textgan.networks.image_discriminators import ImageDiscriminator, ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGenerator, ImageGeneratorConfig


class StackedEncoder(nn.Module):
    """From an image, level by level, to logits of its category. Levels between are rectified."""

    def __init__(self, config: ImageDiscriminatorConfig, spec: ImageSpec, features: Sequence[int]) -> None:
        super().__init__()
        maps = [nn.Linear(a, b) for a, b in pairwise([*features, len(spec.categories)])]
        self.levels = nn.ModuleList([ImageDiscriminator(config, spec, outputs=features[0]), *maps])

    def step(self, level: int, below: Float[Tensor, "n ..."]) -> Float[Tensor, "n size"]:
        """What it makes of a level: the one above or, of the last but one, logits."""
        found = self.levels[level](below)
        return found if level + 1 == len(self.levels) else found.relu()

    def forward(self, images: Float[Tensor, "n channels height width"]) -> list[Float[Tensor, "n ..."]]:
        """All levels: the images, the features, logits."""
        found = [images]
        for level in range(len(self.levels)):
            found.append(self.step(level, found[-1]))
        return found


class StackedGenerator(nn.Module):
    """From a category, level by level, to an image. Each level has `latent` random numbers of its own."""

    def __init__(
        self, config: ImageGeneratorConfig, spec: ImageSpec, features: Sequence[int], hidden: int, latent: int
    ) -> None:
        super().__init__()
        self.latent, self.categories = latent, len(spec.categories)
        maps = [_features(b + latent, hidden, a) for a, b in pairwise([*features, self.categories])]
        self.levels = nn.ModuleList([ImageGenerator(config, spec, features[0] + latent), *maps])

    def step(
        self, level: int, above: Float[Tensor, "n size"], latents: Float[Tensor, "n latent"]
    ) -> Float[Tensor, "n ..."]:
        """A level, given the one above."""
        return self.levels[level](torch.cat([above, latents], 1))

    def forward(self, latents: Float[Tensor, "n inputs"], category: Int[Tensor, " n"]) -> list[Float[Tensor, "n ..."]]:
        """All levels, as the encoder has them: images first, categories, each a 1 among 0s, last."""
        found: list[Tensor] = [F.one_hot(category, self.categories).float()]
        for level in reversed(range(len(self.levels))):
            found.insert(0, self.step(level, found[0], self.of_level(latents, level)))
        return found

    def of_level(self, latents: Float[Tensor, "n inputs"], level: int) -> Float[Tensor, "n latent"]:
        """The random numbers of a level among those of all."""
        return latents[:, level * self.latent : (level + 1) * self.latent]


def _features(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, outputs),
        nn.ReLU(),
    )


def _trunk(inputs: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2))


class StackedDiscriminator(nn.Module):
    """For each level below the category: is it real, and which random numbers was it made of? One trunk answers both.

    `bias`: of the first answer.
    """

    def __init__(
        self,
        config: ImageDiscriminatorConfig,
        spec: ImageSpec,
        features: Sequence[int],
        hidden: int,
        latent: int,
        bias: bool = True,
    ) -> None:
        super().__init__()
        image = ImageDiscriminator(config, spec)
        self.trunks = nn.ModuleList([image.body, *(_trunk(size, hidden) for size in features)])
        sizes = [image.size, *[hidden] * len(features)]
        self.scores = nn.ModuleList([nn.Linear(size, 1, bias=bias) for size in sizes])
        self.guesses = nn.ModuleList([nn.Linear(size, latent) for size in sizes])

    def score(self, level: int, found: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """How real a level is."""
        return self.scores[level](self.trunks[level](found)).squeeze(1)

    def guess(self, level: int, found: Float[Tensor, "n ..."]) -> Float[Tensor, "n latent"]:
        """The mean of Q, which is Gaussian, of the random numbers that a fake was made of."""
        return self.guesses[level](self.trunks[level](found))
