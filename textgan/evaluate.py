"""Score a run, or any file of sentences: ``python -m textgan.evaluate RUN`` or ``--samples FILE --references FILE``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from textgan import command_line
from textgan.checkpoint import write_atomically
from textgan.data.readers import lines
from textgan.data.segmentation import Cutter
from textgan.errors import UserError
from textgan.metrics import Score, sentence_set, text_scores
from textgan.reproducibility import forked_rng
from textgan.run import Run


@dataclass(frozen=True)
class EvaluateCommand:
    """Score a trained run, or any file of sentences against any other."""

    run: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[RUN]")] = None
    """Folder of a run: it is sampled and held against its test split."""
    samples: Path | None = None
    """File of sentences to score, one a line."""
    references: Path | None = None
    """File of real held-out sentences to score them against, one a line."""
    train: Path | None = None
    """File of the sentences that were learned from: adds novelty."""
    tokenizer: Literal["whitespace", "word", "char"] = "whitespace"
    """How lines become tokens. whitespace: at white space. word: punctuation split off. char: every character."""
    lower: bool = False
    """Lower-case samples, references and training sentences first."""
    json: Path | None = None
    """Write {"bleu-2": {"value": .., "signature": ".."}, ..} to this file."""
    num: int | None = None
    """Sentences drawn from a run, at least 1. None: its evaluation.final_samples."""
    temperature: float = 1.0
    """Sampling temperature for a run, above 0."""
    seed: int = 0
    """Seed of the sentences drawn from a run."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""


OF_FILES = ("samples", "references", "train", "tokenizer", "lower")
OF_A_RUN = ("num", "temperature", "seed", "device")


def main(args: list[str]) -> None:
    command = command_line.parse(EvaluateCommand, args, "python -m textgan.evaluate", __doc__)
    command_line.check_writable("--json", command.json)
    scores = _score_run(command) if command.run is not None else _score_files(command)
    width = max(map(len, scores))
    for name, score in scores.items():
        print(f"{name:{width}s}  {score.value:10.4f}  {score.signature}")
    if command.json is not None:
        content = {name: score.as_dict() for name, score in scores.items()}
        try:
            write_atomically(command.json, json.dumps(content, indent=1) + "\n")
        except OSError as error:
            raise UserError(f"--json {command.json} cannot be written: {error.strerror}") from error


def _refuse(command: EvaluateCommand, options: Sequence[str], why: str) -> None:
    for name in options:
        if getattr(command, name) != getattr(EvaluateCommand, name):
            raise UserError(f"--{name} {getattr(command, name)} cannot be used here: {why}")


def _score_files(command: EvaluateCommand) -> dict[str, Score]:
    if command.samples is None or command.references is None:
        raise UserError("evaluate needs a RUN, or --samples FILE and --references FILE")
    _refuse(command, OF_A_RUN, "it is for a RUN; --samples and --references are scored whole and as they are")
    cut = str.split if command.tokenizer == "whitespace" else Cutter(command.tokenizer, lower=False).words

    def sentences(path: Path) -> list[list[str]]:
        return [cut(line.lower() if command.lower else line) for line in lines(path)]

    tokenizer = command.tokenizer + (",lower" if command.lower else "")
    train = None if command.train is None else sentence_set(sentences(command.train))
    return text_scores(sentences(command.samples), sentences(command.references), train, tokenizer)


def _score_run(command: EvaluateCommand) -> dict[str, Score]:
    from textgan.evaluation import evaluation_of  # what follows takes seconds to import, and --help needs none of it
    from textgan.experiment import open_data
    from textgan.model import check_sampling, open_game

    assert command.run is not None
    _refuse(command, OF_FILES, "a RUN is held against the test split of its own corpus, in its own tokens")
    check_sampling(1 if command.num is None else command.num, command.temperature, command.seed)
    model = open_game(Run.open(command.run), command.device)
    corpus, _ = open_data(model.settings, model.game.data)
    if corpus.tokenizer.signature != model.tokenizer.signature:
        raise UserError(
            f"the corpus {model.settings.corpus} has changed: {command.run} learned from "
            f"{model.tokenizer.signature}, now it is {corpus.tokenizer.signature}"
        )
    with forked_rng(command.seed):
        evaluation = evaluation_of(corpus, model.settings.evaluation)
        return evaluation.test_scores(model.game, command.temperature, command.num)


if __name__ == "__main__":
    command_line.run(main)
