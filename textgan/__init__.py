"""Adversarial text generation: one trainer, every GAN a file, metrics to be trusted.

>>> import textgan
>>> run = textgan.train("seqgan", corpus="my_sentences.txt")
>>> textgan.load(run).sample(8)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgan.errors import UserError
from textgan.openmp import settle_threads

if TYPE_CHECKING:
    from textgan.model import Model

settle_threads()

__version__ = "0.1.0"
__all__ = ["UserError", "__version__", "export", "load", "train"]


def train(name: str, **options: Any) -> Path:
    """Train the game `name` and return the folder of its run.

    Takes the options of ``python -m textgan.train NAME``, nested ones as mappings::

        textgan.train("seqgan", corpus="my.txt", run="runs/mine", seed=1, game={"rollouts": 16}, tiny=True)

    Raises:
        UserError: an unknown game or option, or data that cannot be used.
        Collapsed: the collapse watch stopped it (`textgan.collapse`); the run is whole, with its last good networks.
    """
    from textgan.api import train

    return train(name, options)


def export(run: str | Path, folder: str | Path, adapter: bool = False) -> Path:
    """Write the generator of a run, a ``transformers`` model (hf:PATH), as a folder that ``transformers`` opens.

    Adapters are merged into it; with `adapter` they alone are written, in peft's format. Returns the folder.

    Raises:
        UserError: the generator is something else, there is no adapter, or the folder is not empty.
    """
    from textgan.api import export

    return export(run, folder, adapter)


def load(run: str | Path, device: str = "auto") -> Model:
    """Open the trained run in the folder `run`: ``textgan.load(run).sample(8)`` gives sentences, images or series.

    Raises:
        UserError: it is not a run folder, or holds no weights yet.
    """
    from textgan.model import load

    return load(run, device)
