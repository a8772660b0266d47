from __future__ import annotations

import random

import numpy as np
import torch

from textgan.reproducibility import forked_rng, restore_rng, rng_state, seed_everything


def _draw() -> tuple[float, ...]:
    return (random.random(), random.gauss(0, 1), float(np.random.rand()), torch.rand(()).item())  # noqa: NPY002


def test_a_seed_fixes_every_generator():
    seed_everything(3)
    first = _draw()
    seed_everything(3)
    assert _draw() == first
    seed_everything(4)
    assert all(a != b for a, b in zip(first, _draw(), strict=True))


def test_the_state_survives_a_file_of_plain_data(tmp_path):
    seed_everything(0)
    random.gauss(0, 1)  # leaves a second number waiting
    np.random.randn()  # noqa: NPY002
    torch.save(rng_state(), tmp_path / "rng.pt")
    expected = [_draw() for _ in range(3)]
    restore_rng(torch.load(tmp_path / "rng.pt", weights_only=True))
    assert [_draw() for _ in range(3)] == expected


def test_a_fork_leaves_no_trace_and_starts_from_its_seed():
    seed_everything(0)
    expected = [_draw(), _draw()]
    seed_everything(0)
    drawn = [_draw()]
    with forked_rng(7):
        inside = _draw()
    drawn.append(_draw())
    assert drawn == expected
    with forked_rng(7):
        assert _draw() == inside


def test_a_fork_ends_when_an_error_passes():
    seed_everything(0)
    state = torch.get_rng_state()
    try:
        with forked_rng(1):
            _draw()
            raise ValueError
    except ValueError:
        pass
    assert torch.equal(torch.get_rng_state(), state)
