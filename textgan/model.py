"""A trained run, opened to be used: ``textgan.load("runs/seqgan-bbe-1")``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

from textgan.domains import DOMAINS
from textgan.errors import UserError
from textgan.image_models import CaptionModel, ImageModel, TranslationModel
from textgan.opened import open_game
from textgan.run import Run
from textgan.series_model import SeriesModel
from textgan.text_model import TextModel

Model: TypeAlias = TextModel | ImageModel | TranslationModel | CaptionModel | SeriesModel
"""What can be opened, by what it generates."""


def load(folder: str | Path, device: str = "auto") -> Model:
    """The model of the run in `folder`.

    Raises:
        UserError: it is not a run folder, there are no whole weights in it, or it is opened elsewhere (story endings).
    """
    run = Run.open(Path(folder))
    opened = open_game(run, device)
    makes = DOMAINS[opened.game.data].makes
    if makes == "endings":
        raise UserError(
            f"{run.folder} is a run of {opened.name}, which is played on {opened.game.data}; "
            f"open it with python -m textgan.{opened.game.data}, or from Python with textgan.{opened.game.data}"
        )
    kinds: dict[str, Any] = {
        "sentences": TextModel,
        "images": ImageModel,
        "images of images": TranslationModel,
        "images of sentences": CaptionModel,
        "series": SeriesModel,
    }
    return kinds[makes](run, opened)
