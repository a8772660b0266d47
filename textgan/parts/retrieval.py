"""Which images belong together, and how well a ranking puts these first."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from textgan.data.images.spec import LabelledImages
from textgan.networks.image_matching import same_images


def relevant_pairs(images: LabelledImages) -> Bool[Tensor, "n n"]:
    """Pairs of two images of a category."""
    return (images.category[:, None] == images.category) & ~same_images(images.image, images.image)


def precision_at(
    k: int, scores: Float[Tensor, "queries documents"], relevant: Bool[Tensor, "queries documents"]
) -> Float[Tensor, ""]:
    """The share of relevant documents among the k of highest score, in the mean over queries that have any."""
    first = scores.topk(min(k, scores.shape[1]), 1).indices
    return mean_over(relevant.any(1), relevant.gather(1, first).float())


def mean_over(rows: Bool[Tensor, " n"], values: Float[Tensor, "n columns"]) -> Float[Tensor, ""]:
    """The mean of the rows that are named; 0 of none."""
    return (values.mean(1) * rows).sum() / rows.sum().clamp(min=1)
