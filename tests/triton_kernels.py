"""Loads `textgan.kernels` as tests need it."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import torch

NAME = "textgan.kernels"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
"""Where tests run the kernels: on the CPU Triton's interpreter does it."""


def load() -> None:
    """Called before anything else imports Triton, which must know then whether it interprets.

    Triton reads the kernels' source, so the run-time checks of shapes and types stay away from them.
    """
    if importlib.util.find_spec("triton") is None:
        return
    if DEVICE.type == "cpu":
        os.environ["TRITON_INTERPRET"] = "1"
    file = Path(__file__).parents[1] / "textgan" / "kernels.py"
    spec = importlib.util.spec_from_file_location(NAME, file)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[NAME])
