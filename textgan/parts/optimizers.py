"""The optimisers of two sides, each with a step size of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.optim import Optimizer

from textgan.errors import check_above_zero, check_share


@dataclass(frozen=True)
class OptimizersConfig:
    """How the generator and the discriminator learn."""

    kind: Literal["adam", "rmsprop", "sgd"] = "adam"
    """Which optimiser both have."""
    generator: float = 2e-4
    """The generator's step size."""
    discriminator: float = 2e-4
    """The discriminator's; one that differs from the generator's is a two time-scale rule (Heusel et al. 2017)."""
    beta1: float = 0.5
    """Adam's decay of the mean gradient, or the momentum of sgd."""
    beta2: float = 0.999
    """Adam's decay of the mean square; RMSprop has 0.99."""

    def __post_init__(self) -> None:
        check_above_zero("optimizers", self, "generator", "discriminator")
        check_share("optimizers", self, "beta1", "beta2")

    def of_generator(self, *modules: nn.Module) -> Optimizer:
        """An optimiser of all parameters in some networks, with the generator's step size."""
        return self._made(modules, self.generator)

    def of_discriminator(self, *modules: nn.Module) -> Optimizer:
        """The same with the discriminator's."""
        return self._made(modules, self.discriminator)

    def _made(self, modules: Iterable[nn.Module], rate: float) -> Optimizer:
        parameters = [parameter for module in modules for parameter in module.parameters()]
        if self.kind == "adam":
            return torch.optim.Adam(parameters, lr=rate, betas=(self.beta1, self.beta2))
        if self.kind == "rmsprop":
            return torch.optim.RMSprop(parameters, lr=rate)
        return torch.optim.SGD(parameters, lr=rate, momentum=self.beta1)
