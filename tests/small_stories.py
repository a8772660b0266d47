"""Small contexts and endings for tests."""

from __future__ import annotations

import torch

from textgan.data.spec import StorySpec

V = 14
SPEC = StorySpec(vocab_size=V, length=6, train_size=24, sentences=3, sentence_length=4)


def contexts(n: int, seed: int = 0, spec: StorySpec = SPEC) -> torch.Tensor:
    """``(n, S, L)``: sentences of 1 to L words."""
    return _rows(n * spec.sentences, spec.sentence_length, seed, spec).view(n, spec.sentences, -1)


def endings(n: int, seed: int = 0, spec: StorySpec = SPEC) -> torch.Tensor:
    """``(n, T)``: 1 to T - 1 words, the end mark, padding."""
    words = _rows(n, spec.length - 1, seed + 1, spec)
    rows = torch.cat([words, torch.full((n, 1), spec.pad)], 1)
    rows[torch.arange(n), (words != spec.pad).sum(1)] = spec.eos
    return rows


def _rows(n: int, length: int, seed: int, spec: StorySpec) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(4, spec.vocab_size, (n, length), generator=generator)
    lengths = torch.randint(1, length + 1, (n, 1), generator=generator)
    return words.where(torch.arange(length) < lengths, spec.pad)
