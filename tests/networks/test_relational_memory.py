"""The relational memory against its equations, one row, one slot and one head at a time."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.policies import ENDING
from textgan.networks.relational_memory import RelationalMemoryGenerator

HEADS, HEAD_SIZE = 2, 3
SIZE = HEADS * HEAD_SIZE


def network(slots: int) -> RelationalMemoryGenerator:
    torch.manual_seed(0)
    built = RelationalMemoryGenerator(ENDING, 5, slots, HEADS, HEAD_SIZE).double()
    for parameter in built.parameters():
        parameter.data.normal_()
    return built


def norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt() * weight + bias


def step(built: RelationalMemoryGenerator, memory: Tensor, embedded: Tensor) -> Tensor:
    """The equations, for one sentence: memory ``(slots, size)``."""
    w = dict(built.named_parameters())
    x = w["input.weight"] @ embedded + w["input.bias"]
    seen = [*memory, x]
    after = []
    for slot in memory:
        query = w["queries.weight"] @ slot + w["queries.bias"]
        heads = []
        for head in range(HEADS):
            part = slice(head * HEAD_SIZE, (head + 1) * HEAD_SIZE)
            keys = [(w["keys.weight"] @ other)[part] for other in seen]
            values = [(w["values.weight"] @ other + w["values.bias"])[part] for other in seen]
            attention = torch.stack([query[part] @ key / math.sqrt(HEAD_SIZE) for key in keys]).softmax(0)
            heads.append(sum(a * value for a, value in zip(attention, values, strict=True)))
        m = norm(slot + torch.cat(heads), w["attended.weight"], w["attended.bias"])
        hidden = (w["mlp.0.weight"] @ m + w["mlp.0.bias"]).clamp(min=0)
        m = norm(
            m + (w["mlp.2.weight"] @ hidden + w["mlp.2.bias"]).clamp(min=0), w["reasoned.weight"], w["reasoned.bias"]
        )
        gates = w["input_gates.weight"] @ x + w["input_gates.bias"] + w["memory_gates.weight"] @ slot.tanh()
        forget, take = gates.sigmoid()[:SIZE], gates.sigmoid()[SIZE:]
        after.append(forget * slot + take * m.tanh())
    return torch.stack(after)


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_a_step_is_the_equations(slots):
    built = network(slots)
    words, state = torch.tensor([3, 4, 2]), built.begin(3)
    by_hand = [torch.eye(slots, SIZE, dtype=torch.float64)] * 3
    for _ in range(3):
        embedded = built.embedding(words)
        state = built.read(embedded, state)
        by_hand = [step(built, memory, one) for memory, one in zip(by_hand, embedded, strict=True)]
        torch.testing.assert_close(state, torch.stack(by_hand))
        words = words.roll(1)


def test_the_output_is_all_slots_side_by_side():
    state = torch.arange(24.0, dtype=torch.float64).view(2, 2, SIZE)
    assert torch.equal(network(2).output_of(state)[1], torch.arange(12.0, 24.0, dtype=torch.float64))
    assert network(2).width == 2 * SIZE


def test_forget_gates_begin_open_and_the_papers_size_is_the_default():
    built = RelationalMemoryGenerator(ENDING, 5)
    assert (built.slots, built.heads, built.width) == (1, 2, 512)
    assert built.input_gates.bias[:512].eq(1).all()
    assert built.input_gates.bias[512:].abs().max() < 1
