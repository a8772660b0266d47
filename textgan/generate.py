"""Sentences from a trained run, on standard output, nothing else: ``python -m textgan.generate RUN --num 100``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

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
    """text: one sentence a line. jsonl: {"text", "log_prob"} a line, log_prob in nats at temperature 1."""
    detokenize: bool = False
    """Write as people do ("the end.") in place of tokens between spaces ("the end ."), which metrics read."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""


def main(args: list[str]) -> None:
    command = command_line.parse(GenerateCommand, args, "python -m textgan.generate", __doc__)
    from textgan.model import load  # torch is slow to import, and --help needs none of it

    model = load(command.run, command.device)
    for tokens in model.sample_tokens(command.num, command.temperature, command.seed).split(BATCH):
        sentences = model.write(tokens, command.detokenize)
        if command.format == "text":
            print("\n".join(map(_line, sentences)))
            continue
        for sentence, log_prob in zip(sentences, model.token_log_prob(tokens), strict=True):
            print(json.dumps({"text": sentence, "log_prob": log_prob}, ensure_ascii=False))


def _line(sentence: str) -> str:
    """A sentence on one line: one made of bytes may have any of Unicode's line ends in it."""
    return " ".join(sentence.splitlines())


if __name__ == "__main__":
    command_line.run(main)
