"""How well groups that nobody has named agree with categories."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from scipy.optimize import linear_sum_assignment

from textgan.errors import UserError
from textgan.metrics.base import Score, signature


class Match(NamedTuple):
    """The best agreement of groups with categories."""

    accuracy: Score
    category_of: tuple[int | None, ...]
    """Of each group; None where there are fewer categories than groups."""
    counts: Int[np.ndarray, "groups categories"]
    """Items of each group and category."""


def best_match(
    groups: Int[np.ndarray, " n"], categories: Int[np.ndarray, " n"], of_groups: int, of_categories: int, by: str
) -> Match:
    """The share of items that are right when every group is given a category of its own, in the best of all ways.

    ``max over one-to-one maps s of 1/n |{i: s(group_i) = category_i}|``, by the Hungarian method. Chance is a little
    above ``1 / of_categories`` where that is few against n.

    Args:
        by: what made the groups, for the signature.

    Raises:
        UserError: there are no items.
    """
    if len(groups) == 0:
        raise UserError("best match: there are 0 items; at least 1 is accepted")
    counts = np.zeros((of_groups, of_categories), dtype=np.int64)
    np.add.at(counts, (groups, categories), 1)
    found = dict(zip(*map(np.ndarray.tolist, linear_sum_assignment(-counts)), strict=True))
    right = sum(counts[group, category] for group, category in found.items())
    name = signature("best-match-accuracy", groups=of_groups, samples=len(groups), by=by)
    return Match(Score(float(right / len(groups)), name), tuple(map(found.get, range(of_groups))), counts)
