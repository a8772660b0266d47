"""Generators of which every probability is a free number, on the small worlds of `tests.policies`."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.policies import TablePolicy, sentences
from textgan.data.spec import TextSpec
from textgan.networks.text_generator import TextGenerator


class TableGenerator(TextGenerator):
    """`TablePolicy` with outputs: the logits themselves."""

    def __init__(self, spec: TextSpec, seed: int = 0) -> None:
        super().__init__()
        self.spec, self.width = spec, spec.vocab_size
        self.policy = TablePolicy(spec, seed)
        self.advance, self.logits = self.policy.advance, self.policy.logits

    def start(self, rows: int, condition: Tensor | None = None) -> Tensor:
        return self.policy.start(rows)

    def outputs(self, tokens: Tensor, condition: Tensor | None = None) -> Tensor:
        state, found = self.start(len(tokens)), []
        for token in tokens.unbind(1):
            found.append(self.policy.table[state])
            state = self.policy.advance(token, state)
        return torch.stack(found, 1)

    def vocabulary(self, outputs: Tensor) -> Tensor:
        never = torch.zeros(self.width, dtype=torch.bool)
        never[list(self.spec.never)] = True
        return outputs.masked_fill(never, -torch.inf)

    def probabilities(self) -> Tensor:
        """Of `sentences`, in their order."""
        return self.log_probs(sentences(self.spec)).sum(1).exp()


def table_of(spec: TextSpec, probabilities: Tensor) -> TableGenerator:
    """The generator that has these probabilities of `sentences`."""
    generator = TableGenerator(spec)
    mass = torch.zeros_like(generator.policy.table)
    for row, p in zip(sentences(spec), probabilities, strict=True):
        state = torch.zeros(1, dtype=torch.int64)
        for token in row[row != spec.pad]:
            mass[state, token] += p
            state = generator.advance(token[None], state)
    generator.policy.table.data = mass.log().clamp(min=-1e9)
    return generator


def gradient(value: Tensor, generator: TableGenerator) -> Tensor:
    """Of a value with respect to the table."""
    (found,) = torch.autograd.grad(value, generator.policy.table)
    return found
