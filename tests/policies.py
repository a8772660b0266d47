"""Small worlds whose sentences can all be written down."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn

from textgan.data.spec import NONE, TextSpec

FIXED = TextSpec(3, 3, train_size=0, bos=0, eos=NONE, pad=NONE, unk=NONE)
"""3 words, 3 steps: 27 sentences."""
ENDING = TextSpec(5, 3, train_size=0, bos=1, eos=2, pad=0, unk=4)
"""Words 3 and 4 and the end mark: 1 + 2 + 4 + 8 sentences of at most 3 tokens."""


def sentences(spec: TextSpec) -> Tensor:
    """Every sentence there is."""
    found = set()
    for row in product([token for token in range(spec.vocab_size) if token not in spec.never], repeat=spec.length):
        words = list(row)
        if spec.eos in words:
            end = words.index(spec.eos) + 1
            words[end:] = [spec.pad] * (spec.length - end)
        found.add(tuple(words))
    return torch.tensor(sorted(found))


class TablePolicy(nn.Module):
    """A free row of logits for every prefix. The state is the prefix's number."""

    def __init__(self, spec: TextSpec, seed: int = 0) -> None:
        super().__init__()
        self.spec = spec
        prefixes = sum(spec.vocab_size**step for step in range(spec.length))
        generator = torch.Generator().manual_seed(seed)
        self.table = nn.Parameter(torch.randn(prefixes, spec.vocab_size, generator=generator, dtype=torch.float64))

    def start(self, rows: int) -> Tensor:
        return torch.zeros(rows, dtype=torch.int64)

    def advance(self, tokens: Tensor, state: Tensor) -> Tensor:
        # Finished sentences are read on; their prefixes may lie past the table's end.
        return (state * self.spec.vocab_size + tokens + 1).clamp(max=len(self.table) - 1)

    def logits(self, state: Tensor) -> Tensor:
        logits = self.table[state].clone()
        logits[:, list(self.spec.never)] = -torch.inf
        return logits

    def log_probs(self, tokens: Tensor) -> Tensor:
        state, found = self.start(len(tokens)), []
        for token in tokens.unbind(1):
            log_p = self.logits(state).log_softmax(-1).gather(1, token.clamp(min=0)[:, None]).squeeze(1)
            found.append(torch.where(token != self.spec.pad, log_p, 0.0))
            state = self.advance(token, state)
        return torch.stack(found, 1)
