"""Which other example of a batch one is put beside."""

from __future__ import annotations

import torch

from textgan.parts.neighbours import next_allowed


def test_it_is_the_first_from_itself_on_that_is_allowed_and_itself_where_none_is() -> None:
    for seed in range(30):
        generator = torch.Generator().manual_seed(seed)
        n = 1 + seed % 6
        allowed = torch.rand(n, n, generator=generator) < 0.4
        expected = []
        for i in range(n):
            ahead = [(i + k) % n for k in range(n) if allowed[i, (i + k) % n]]
            expected.append(ahead[0] if ahead else i)
        assert next_allowed(allowed).tolist() == expected
