"""Sentences of categories: which category each sample is of, conditions, and the density of all categories together."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def categories_of(n: int, count: int, category: int | None, device: torch.device) -> Int[Tensor, " n"]:
    """The categories of `n` sentences: the one that is asked for or, if it is None, each of `count` in turn."""
    if category is None:
        return torch.arange(n, device=device) % count
    assert 0 <= category < count
    return torch.full((n,), category, device=device)


def conditions(categories: Int[Tensor, " n"], count: int) -> Float[Tensor, "n count"]:
    """One-hot vectors, for a generator under a condition."""
    return F.one_hot(categories, count).float()


def mixture_log_probs(of_each: Float[Tensor, "count batch length"]) -> Float[Tensor, "batch length"]:
    """log p(y_t | y_<t) where p(y) = (1/count) sum_k p_k(y): of a sentence whose category is drawn, and not told.

    Given log p_k(y_t | y_<t), 0 at padding. What was read tells of the category, so it is not the mean of the p_k::

        p(y_t | y_<t) = sum_k p_k(y_1..t) / sum_k p_k(y_1..t-1)
    """
    so_far = of_each.cumsum(2).logsumexp(0)
    before = F.pad(so_far[:, :-1], (1, 0), value=math.log(len(of_each)))
    return so_far - before
