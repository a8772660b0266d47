"""Sentences or images from a trained run: ``python -m textgan.generate RUN --num 100``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from textgan import command_line
from textgan.errors import UserError

if TYPE_CHECKING:
    from textgan.image_model import ImageModel
    from textgan.text_model import TextModel

BATCH = 1000


@dataclass(frozen=True)
class GenerateCommand:
    """Sentences from a trained run, on standard output, or images from one, in a file."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    num: int = 100
    """Number of sentences or images, at least 1."""
    temperature: float = 1.0
    """Of sentences: sampling temperature, above 0; below 1 the generator keeps to what it is sure of."""
    seed: int | None = None
    """The same seed gives the same sentences or images. None: other ones every time."""
    format: Literal["text", "jsonl"] = "text"
    """Of sentences. text: one a line. jsonl: {"text", "log_prob", "category"} a line: log_prob in nats at temperature
    1, where the game has a density; category, where it knows categories."""
    category: str | None = None
    """Only of this category. None: of each in turn, where the game knows categories."""
    detokenize: bool = False
    """Write sentences as people do ("the end.") in place of tokens between spaces ("the end ."), which metrics read."""
    out: Path | None = None
    """Of images. A file (.png, .jpg): one sheet of them all. A folder: a file each, 0000.png and so on. None: the sheet
    samples.png in the run."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""


OF_SENTENCES = ("temperature", "format", "detokenize")
OF_IMAGES = ("out",)


def main(args: list[str]) -> None:
    command = command_line.parse(GenerateCommand, args, "python -m textgan.generate", __doc__)
    from textgan.image_model import ImageModel  # torch is slow to import, and --help needs none of it
    from textgan.model import load

    model = load(command.run, command.device)
    others, what = (OF_SENTENCES, "images") if isinstance(model, ImageModel) else (OF_IMAGES, "sentences")
    for name in others:
        if getattr(command, name) != getattr(GenerateCommand, name):
            raise UserError(f"--{name} {getattr(command, name)} cannot be used here: {command.run} generates {what}")
    if isinstance(model, ImageModel):
        print(_write_images(model, command))
    else:
        _print_sentences(model, command)


def _write_images(model: ImageModel, command: GenerateCommand) -> Path:
    """Where they are."""
    from textgan.pictures import as_images, grid

    out = command.out or command.run / "samples.png"
    sheet = bool(out.suffix)
    command_line.check_writable("--out", out if sheet else None)
    images = model.sample(command.num, command.seed, command.category)
    try:
        if sheet:
            grid(images, model.columns(command.category)).save(out)
            return out
        out.mkdir(parents=True, exist_ok=True)
        digits = max(4, len(str(command.num - 1)))
        for i, image in enumerate(as_images(images)):
            image.save(out / f"{i:0{digits}d}.png")
    except (OSError, ValueError) as error:
        raise UserError(f"--out {out} cannot be written: {error}") from error
    return out


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
