"""Which other example of a batch one is put beside."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def next_allowed(allowed: Bool[Tensor, "n n"]) -> Int[Tensor, " n"]:
    """For each row i the first column of i, i + 1, ..., the first ones coming after the last, that is allowed; i where
    none is."""
    n = len(allowed)
    places = torch.arange(n, device=allowed.device)
    order = (places[:, None] + places) % n
    ahead = allowed.gather(1, order).to(torch.uint8).argmax(1)
    return order.gather(1, ahead[:, None]).squeeze(1)
