"""Batches: every sentence once an epoch, resumable, in an order of their own."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
import torch
from jaxtyping import Int
from torch import Tensor

from textgan.data.batches import Batches


class Numbers:
    """A split whose n-th sentence is (n, n)."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def take(self, indices: Int[Tensor, " n"]) -> Int[Tensor, "n length"]:
        return indices[:, None].expand(-1, 2).clone()


def drawn(batches: Batches, sizes: list[int]) -> list[int]:
    return [i for n in sizes for i in batches.next(n)[:, 0].tolist()]


@pytest.mark.parametrize(("size", "n"), [(10, 3), (10, 10), (7, 25), (1, 4)])
def test_every_sentence_comes_once_an_epoch_and_every_batch_is_full(size: int, n: int) -> None:
    batches = Batches(Numbers(size), seed=0)
    order = []
    for _ in range(size):
        batch = batches.next(n)
        assert batch.shape == (n, 2)
        order += batch[:, 0].tolist()
    for epoch in range(n):
        assert sorted(order[epoch * size : (epoch + 1) * size]) == list(range(size))


def test_parts_of_a_batch_are_parts_of_the_same_batch() -> None:
    whole, first, second = (Batches(Numbers(10), seed=3) for _ in range(3))
    for _ in range(5):
        parts = first.next(6, slice(0, 3)), second.next(6, slice(3, 6))
        assert torch.equal(torch.cat(parts), whole.next(6))
    assert first.state_dict() == second.state_dict() == whole.state_dict()


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    order = drawn(Batches(Numbers(50), seed=1), [50, 50])
    assert order[:50] != order[50:]
    assert order != drawn(Batches(Numbers(50), seed=2), [50, 50])
    assert order == drawn(Batches(Numbers(50), seed=1), [30, 70])


def test_the_order_of_a_seed_and_an_epoch_is_a_permutation_of_numpy() -> None:
    """Published numbers depend on it."""
    expected = np.concatenate([np.random.default_rng([7, epoch]).permutation(1000) for epoch in range(3)])
    assert drawn(Batches(Numbers(1000), seed=7), [1000] * 3) == expected.tolist()


def test_orders_are_uniform() -> None:
    first = Counter(drawn(Batches(Numbers(4), seed=s), [1])[0] for s in range(4000))
    assert sum((first[i] - 1000) ** 2 / 1000 for i in range(4)) < 16.3  # p = 0.001 at 3 degrees of freedom


@pytest.mark.parametrize("before", [0, 1, 9, 10, 11, 57])
def test_resumed_batches_are_those_of_the_uninterrupted_run(before: int) -> None:
    whole = Batches(Numbers(10), seed=-3)
    drawn(whole, [1] * before)
    state = whole.state_dict()
    assert all(type(value) is int for value in state.values())
    resumed = Batches(Numbers(10), seed=-3)
    resumed.load_state_dict(state)
    assert drawn(resumed, [4, 4, 25]) == drawn(whole, [4, 4, 25])


def test_no_other_random_numbers_are_used_or_disturbed() -> None:
    states = torch.get_rng_state(), random.getstate()
    order = drawn(Batches(Numbers(20), seed=0), [35])
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    torch.manual_seed(99)
    random.seed(99)
    assert drawn(Batches(Numbers(20), seed=0), [35]) == order
