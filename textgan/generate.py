"""Sentences, images or series from a trained run: ``python -m textgan.generate RUN --num 100``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from textgan import command_line
from textgan.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from textgan.series_model import SeriesModel
    from textgan.text_model import TextModel

BATCH = 1000


@dataclass(frozen=True)
class GenerateCommand:
    """Sentences or series from a trained run, on standard output, or images from one, in a file."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    num: int = 100
    """Number of sentences, images or series, at least 1."""
    temperature: float = 1.0
    """Of sentences: sampling temperature, above 0; below 1 the generator keeps to what it is sure of."""
    seed: int | None = None
    """The same seed gives the same ones. None: other ones every time."""
    format: Literal["text", "jsonl"] = "text"
    """Of sentences. text: one a line. jsonl: {"text", "log_prob", "category"} a line: log_prob in nats at temperature
    1, where the game has a density; category, where it knows categories."""
    category: str | None = None
    """Only of this category (of fonts: in this style). None: of each in turn, where the game knows categories."""
    detokenize: bool = False
    """Write sentences as people do ("the end.") in place of tokens between spaces ("the end ."), which metrics read."""
    out: Path | None = None
    """Of images. A file (.png, .jpg): one sheet of them all. A folder: a file each, 0000.png and so on. None: the sheet
    samples.png in the run."""
    given: Path | None = None
    """Of games that make images of images: the image file, or the folder of images, that is given."""
    caption: str | None = None
    """Of games that draw what a sentence says: the sentence."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""


OPTIONS = {
    "sentences": ("num", "temperature", "format", "category", "detokenize"),
    "images": ("num", "category", "out"),
    "images of images": ("given", "category", "out"),
    "images of sentences": ("num", "caption", "out"),
    "series": ("num",),
}
"""What can be asked for, by what a run generates."""


def main(args: list[str]) -> None:
    command = command_line.parse(GenerateCommand, args, "python -m textgan.generate", __doc__)
    from textgan.domains import DOMAINS  # torch is slow to import, and --help needs none of it
    from textgan.model import load

    model: Any = load(command.run, command.device)
    makes = DOMAINS[model.game.data].makes
    for name in sorted({name for names in OPTIONS.values() for name in names} - {*OPTIONS[makes]}):
        if getattr(command, name) != getattr(GenerateCommand, name):
            raise UserError(f"--{name} {getattr(command, name)} cannot be used here: {command.run} generates {makes}")
    if makes == "sentences":
        _print_sentences(model, command)
    elif makes == "series":
        _print_series(model, command)
    else:
        print(_write_images(_images(model, command, makes), model.columns(command.category), command))


def _images(model: Any, command: GenerateCommand, makes: str) -> Tensor:
    """What is asked for."""
    if makes == "images":
        return model.sample(command.num, command.seed, command.category)
    if makes == "images of sentences":
        if command.caption is None:
            raise UserError(f"{command.run} generates images of sentences; --caption TEXT is needed")
        return model.sample(command.num, command.caption, command.seed)
    if command.given is None:
        raise UserError(f"{command.run} generates images of images; --given PATH, a file or a folder, is needed")
    return model(model.read(command.given), category=command.category, seed=command.seed)


def _write_images(images: Tensor, columns: int | None, command: GenerateCommand) -> Path:
    """Where they are."""
    from textgan.pictures import as_images, grid

    out = command.out or command.run / "samples.png"
    sheet = bool(out.suffix)
    command_line.check_writable("--out", out if sheet else None)
    try:
        if sheet:
            grid(images, columns).save(out)
            return out
        out.mkdir(parents=True, exist_ok=True)
        digits = max(4, len(str(len(images) - 1)))
        for i, image in enumerate(as_images(images)):
            image.save(out / f"{i:0{digits}d}.png")
    except (OSError, ValueError) as error:
        raise UserError(f"--out {out} cannot be written: {error}") from error
    return out


def _print_series(model: SeriesModel, command: GenerateCommand) -> None:
    """A line a window, its numbers in order of time, those of one time together."""
    for window in model.sample(command.num, command.seed).flatten(1).tolist():
        print(",".join(f"{number:.6g}" for number in window))


def _print_sentences(model: TextModel, command: GenerateCommand) -> None:
    drawn = model.sample_tokens(command.num, command.temperature, command.seed, command.category)
    categories = model.categories_of(command.num, command.category)
    for i, tokens in enumerate(drawn.split(BATCH)):
        sentences = model.write(tokens, command.detokenize)
        if command.format == "text":
            print("\n".join(map(_line, sentences)))
            continue
        columns: dict[str, list[Any]] = {"text": sentences}
        if model.has_density:
            columns["log_prob"] = model.token_log_prob(tokens)
        if categories:
            columns["category"] = categories[i * BATCH : i * BATCH + len(tokens)]
        for values in zip(*columns.values(), strict=True):
            print(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False))


def _line(sentence: str) -> str:
    """A sentence on one line: one made of bytes may have any of Unicode's line ends in it."""
    return " ".join(sentence.splitlines())


if __name__ == "__main__":
    command_line.run(main)
