"""A network as it was: the copy of its weights that a leash or an opponent needs, without a second network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn


class Snapshot(nn.Module):
    """Remembers the values of some parameters, and puts them in their place for a while.

    The values are buffers, so a checkpoint holds them. Of a network with adapters only these are copied.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        super().__init__()
        self._parameters_now = tuple(parameters)  # a tuple's members belong to their own module alone
        for i, parameter in enumerate(parameters):
            self.register_buffer(str(i), parameter.detach().clone())

    @torch.no_grad()
    def take(self) -> None:
        """From now on it is the parameters as they are."""
        for copy, parameter in zip(self.buffers(), self._parameters_now, strict=True):
            copy.copy_(parameter)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the parameters have the values remembered, and nothing records a gradient."""
        former = [parameter.detach().clone() for parameter in self._parameters_now]
        try:
            self._put(list(self.buffers()))
            with torch.no_grad():
                yield
        finally:
            self._put(former)

    def _put(self, values: Sequence[torch.Tensor]) -> None:
        for parameter, value in zip(self._parameters_now, values, strict=True):
            parameter.data.copy_(value)  # not a change that a graph recorded before has to know of
        torch.clear_autocast_cache()  # which may hold the former values in a lower precision
