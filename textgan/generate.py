"""Sentences from a trained run, on standard output, nothing else: ``python -m textgan.generate RUN --num 100``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from textgan import command_line

BATCH = 1000


@dataclass(frozen=True)
class GenerateCommand:
    """Sentences from a trained run, on standard output."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    num: int = 100
    """Number of sentences, at least 1."""
    temperature: float = 1.0
    """Sampling temperature, above 0; below 1 the generator keeps to what it is sure of."""
    seed: int | None = None
    """The same seed gives the same sentences. None: other ones every time."""
    format: Literal["text", "jsonl"] = "text"
    """text: one sentence a line. jsonl: {"text", "log_prob", "category"} a line: log_prob in nats at temperature 1,
    where the game has a density; category, where it knows categories."""
    category: str | None = None
    """Sentences of this category alone. None: of each in turn, where the game knows categories."""
    detokenize: bool = False
    """Write as people do ("the end.") in place of tokens between spaces ("the end ."), which metrics read."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""


def main(args: list[str]) -> None:
    command = command_line.parse(GenerateCommand, args, "python -m textgan.generate", __doc__)
    from textgan.model import load  # torch is slow to import, and --help needs none of it

    model = load(command.run, command.device)
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
