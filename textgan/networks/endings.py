"""What a generator of story endings is, whatever it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.sampling import Policy


@runtime_checkable
class EndingPolicy(Policy, Protocol):
    """A policy over the endings of given contexts.

    ``start(rows)`` takes any multiple k of the number of contexts; row r continues context ``r // k``, in `log_probs`
    and `outputs` too. What was read of the contexts is held once, whatever the number of rows.
    """

    def log_probs(self, tokens: Int[Tensor, "rows length"], temperature: float = 1.0) -> Float[Tensor, "rows length"]:
        """log p(y_t | context, y_1..t-1) in nats under softmax(logits / temperature), differentiable; 0 at padding."""

    def outputs(self, tokens: Int[Tensor, "rows length"]) -> Float[Tensor, "rows length features"]:
        """What the next token is predicted from, before each token is read."""


class StoryGenerator(nn.Module):
    """A distribution over endings, given contexts."""

    hidden_size: int
    """Width of `EndingPolicy.outputs`."""

    def given(self, context: Int[Tensor, "batch sentences length"]) -> EndingPolicy:
        """The policy that ends these contexts, which are read once."""
        raise NotImplementedError

    def learned(self) -> list[nn.Parameter]:
        """What its player may change: all parameters or, where there are adapters, theirs."""
        return list(self.parameters())

    def describe(self, folder: Path) -> None:
        """Write into `folder` what it takes to build the network beside the options of its game: nothing, mostly."""
