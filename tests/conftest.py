"""Run-time checks of shapes and types in all of textgan, one thread, a cache of the tests' own, no hub."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("textgan", "beartype.beartype")
torch.set_num_threads(1)  # the tests' tensors are small


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Prepared corpora go to a folder that goes with the tests."""
    os.environ["TEXTGAN_CACHE"] = str(tmp_path_factory.mktemp("cache"))
