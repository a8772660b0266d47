"""Random number generators: seeded once, saved and restored whole, and forked so that looking changes nothing."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int, deterministic: bool = False) -> None:
    """Seed Python's, NumPy's and torch's generators on every device.

    With `deterministic`, torch refuses operations whose result may differ from run to run. On a CPU runs are
    bitwise reproducible either way, given the same number of threads.
    """
    seed_generators(seed)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the first CUDA context is made
        torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(deterministic)


def seed_generators(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators on every device, and nothing else."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (libraries that games use may draw from the global generator)
    torch.manual_seed(seed)


def rng_state() -> dict[str, Any]:
    """The state of all generators, of types that ``torch.load(weights_only=True)`` accepts."""
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_rng(state: dict[str, Any]) -> None:
    """The inverse of `rng_state`."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


@contextmanager
def forked_rng(seed: int) -> Iterator[None]:
    """Everything inside draws from generators seeded with `seed`; afterwards they are as they were."""
    before = rng_state()
    seed_generators(seed)
    try:
        yield
    finally:
        restore_rng(before)
