"""Two domains of images without pairs: horses and zebras, photographs and cartoons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from textgan.data.images.corpus import ImageReport, ImageSplit, open_images
from textgan.data.images.pairs import ImagePairs, outline
from textgan.data.images.preparation import SPLITS
from textgan.data.images.settings import ImageConfig
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError


class UnpairedImages(NamedTuple):
    """Images of both domains; what stands in one row has nothing to do with each other."""

    a: Tensor
    """(B, C, H, W)"""
    b: Tensor
    """(B, C, H, W)"""


@dataclass(frozen=True)
class UnpairedConfig(ImageConfig):
    """How one or two corpora become two domains of images of one size."""

    other: str | None = None
    """What the second domain is: another corpus, or what is made of images of the first: negative (black is white),
    turned (by a quarter), outline (their edges), flat (in three tones) or soft (means of 3 x 3 pixels). In training
    none is made of an image that the first domain shows; on held-out images the truth is known. Default: turned; of a
    folder that has folders a and b, these two."""


class HalvesOfASplit:
    """Images of the first domain, and of the second made of other images: the even and the odd places of one split."""

    def __init__(self, images: ImageSplit, make: Callable[[Tensor], Tensor]) -> None:
        self._images, self._make = images, make

    def __len__(self) -> int:
        return len(self._images) // 2

    def take(self, indices: Int[Tensor, " n"]) -> UnpairedImages:
        elsewhere = 2 * ((indices * 7919 + 1) % len(self)) + 1
        return UnpairedImages(self._images.take(2 * indices), self._make(self._images.take(elsewhere)))

    def pairs(self, limit: int | None = None) -> ImagePairs:
        """Images of the first domain, and what they should become."""
        given = self._images.images(limit)
        return ImagePairs(given, self._make(given))


class TwoSplits:
    """Images of two corpora. The smaller one is gone through more often."""

    def __init__(self, a: ImageSplit, b: ImageSplit) -> None:
        self._a, self._b = a, b

    def __len__(self) -> int:
        return max(len(self._a), len(self._b))

    def take(self, indices: Int[Tensor, " n"]) -> UnpairedImages:
        elsewhere = (indices * 7919 + 1) % len(self)
        return UnpairedImages(self._a.take(indices % len(self._a)), self._b.take(elsewhere % len(self._b)))

    def pairs(self, limit: int | None = None) -> None:
        """The truth is not known."""

    def images(self, limit: int | None = None) -> UnpairedImages:
        """Evenly spaced ones of both."""
        return UnpairedImages(self._a.images(limit), self._b.images(limit))


@dataclass(frozen=True)
class UnpairedCorpus:
    """Two domains to train on, to validate with and to test with."""

    name: str
    spec: ImageSpec
    config: UnpairedConfig
    train: HalvesOfASplit | TwoSplits
    valid: HalvesOfASplit | TwoSplits
    test: HalvesOfASplit | TwoSplits
    report: ImageReport

    @property
    def signature(self) -> str:
        """What the numbers of an example stand for."""
        return f"domains.{'x'.join(map(str, self.spec.shape))}"

    def save(self, folder: Path) -> None:
        """A model needs nothing beside its weights."""


MAPS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "negative": lambda images: -images,
    "turned": lambda images: torch.rot90(images, 1, (2, 3)),
    "outline": lambda images: outline(images).expand_as(images),
    "flat": torch.round,
    "soft": lambda images: F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1),
}
"""What the second domain may be made of the first by."""


def open_domains(spec: str, config: UnpairedConfig) -> UnpairedCorpus:
    """The two domains that are asked for.

    Raises:
        UserError: for everything that the user can put right.
    """
    plain = ImageConfig(**{key: value for key, value in asdict(config).items() if key != "other"})
    folder = Path(spec).expanduser()
    both = [str(folder / side) for side in ("a", "b") if (folder / side).is_dir()]
    other = config.other or (None if len(both) == 2 else "turned")
    first = open_images(both[0] if other is None else spec, plain, labelled=False)
    if other is not None and other in MAPS:
        splits: dict[str, HalvesOfASplit | TwoSplits] = {
            name: HalvesOfASplit(getattr(first, name), MAPS[other]) for name in SPLITS
        }
        made = MAPS[other](first.train.images(1))
        if made.shape[1:] != first.spec.shape:
            raise UserError(f"data.other is {other!r}, which needs square images; here they are {first.spec.shape}")
    else:
        second = open_images(other or both[1], plain, labelled=False)
        if second.spec.shape != first.spec.shape:
            raise UserError(
                f"the domains have images of {first.spec.shape} and {second.spec.shape} (channels, height, width); "
                "give data.size and data.channels"
            )
        splits = {name: TwoSplits(getattr(first, name), getattr(second, name)) for name in SPLITS}
    settings = UnpairedConfig(**asdict(first.config), other=other)
    image_spec = ImageSpec(*first.spec.shape, train_size=len(splits["train"]))
    name = folder.resolve().name if other is None else f"{first.name}-{Path(other).stem}"
    return UnpairedCorpus(name, image_spec, settings, **splits, report=first.report)
