"""Run-time checks of shapes and types in all of textgan, one thread, a cache of the tests' own, no hub."""

from __future__ import annotations

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import torch
from jaxtyping import install_import_hook

from tests import triton_kernels
from tests.shared import made_once

triton_kernels.load()
install_import_hook("textgan", "beartype.beartype")
torch.set_num_threads(1)  # the tests' tensors are small


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Prepared corpora go to a folder that goes with the tests."""
    os.environ["TEXTGAN_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def corpus_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """180 different sentences of five to seven words. One file for all of pytest-xdist's processes."""
    return made_once(tmp_path_factory, "animals.txt", _write_sentences)


def _write_sentences(file: Path) -> None:
    who, does, where = ["cat", "dog", "old cow"], ["sits", "runs", "is not"], ["in", "near", "behind", "under"]
    what = ["house", "big tree", "field", "river", "hill"]
    file.write_text("".join(f"the {a} {b} {c} the {d}\n" for a in who for b in does for c in where for d in what))


@pytest.fixture(scope="session")
def tiny_options(corpus_file: Path) -> list[str]:
    """A SeqGAN of three stages that plays for seconds."""
    return ["seqgan", "--tiny", "--corpus", str(corpus_file), "--game.rounds", "3", "--evaluation.samples", "50"]


@pytest.fixture(scope="session")
def tiny_run(cache: None, tiny_options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of that run, played to its end. Tests do not change it."""
    from textgan.train import main  # after the import hook

    return made_once(tmp_path_factory, "tiny", lambda folder: main([*tiny_options, "--run", str(folder)]))
