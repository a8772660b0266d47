"""`open_stories`: from what the user calls a story corpus to splits of contexts and endings, and cloze tests.

A prompt with an answer is a story: a context of one sentence, which may be any text, and its ending.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import tokenizers
from jaxtyping import Int, Int64
from torch import Tensor

from textgan.data import readers
from textgan.data.cache import cached
from textgan.data.cards import card_arguments, card_names, file_identity, load_card
from textgan.data.preparation import SPLITS
from textgan.data.settings import DataConfig, Settings, resolve
from textgan.data.spec import StorySpec
from textgan.data.splits import CHUNK, pad_rows, sentence_hashes, with_end
from textgan.data.story_preparation import Check, StorySource, prepare_stories
from textgan.data.story_readers import KINDS, Cloze, Story, hub_stories, read_cloze, read_stories
from textgan.data.story_report import StoryReport
from textgan.data.tokenizer import PRETRAINED, Tokenized, Tokenizer
from textgan.errors import UserError

__all__ = [
    "Cloze",
    "Story",
    "StoryBatch",
    "StoryCorpus",
    "StoryReport",
    "StorySplit",
    "encode_contexts",
    "encode_endings",
    "open_cloze",
    "open_stories",
]

FORMAT = 2
"""Raised whenever the same stories may be prepared differently than before, so that no old cache is found."""


class StoryBatch(NamedTuple):
    """Token rows of stories."""

    context: Tensor
    """``(B, S, L)`` int64: each sentence's tokens, then padding. No marks."""
    ending: Tensor
    """``(B, T)`` int64: words, the end mark, padding."""


class StorySplit:
    """Stories of a prepared corpus, memory-mapped: only what is asked for is read."""

    def __init__(self, path: Path, spec: StorySpec) -> None:
        from datasets import Dataset  # takes a second, and is not needed where no corpus is opened

        self.spec = spec
        rows = Dataset.from_file(str(path)).with_format("arrow")
        self._rows = rows.select_columns(["context", "ending"])
        self._texts = rows.select_columns(["sentences", "last", "name", "wrong"])

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, indices: Int[Tensor, " n"]) -> StoryBatch:
        """The stories at these positions, in this order."""
        return self._batch(self._rows[indices.tolist()])

    def batch(self, limit: int | None = None) -> StoryBatch:
        """The first `limit` stories, or all."""
        return self._batch(self._rows[: len(self) if limit is None else limit])

    def stories(self, limit: int | None = None) -> list[Story]:
        """The first `limit` stories, or all, as they were written."""
        columns = self._texts[: len(self) if limit is None else limit].to_pydict()
        rows = zip(columns["sentences"], columns["last"], columns["name"], strict=True)
        return [Story(tuple(sentences), ending, name) for sentences, ending, name in rows]

    def wrong_endings(self) -> list[str]:
        """A wrong ending of every story; empty strings where the corpus has none."""
        wrong: list[str] = self._texts[:]["wrong"].to_pylist()
        return wrong

    def hashes(self) -> Int64[np.ndarray, " distinct"]:
        """The hashes (see `textgan.data.splits.sentence_hashes`) of the split's distinct endings, sorted."""
        chunks = [self._batch(self._rows[i : i + CHUNK]).ending for i in range(0, len(self), CHUNK)]
        return np.unique(np.concatenate([sentence_hashes(chunk) for chunk in chunks]))

    def _batch(self, table: pa.Table) -> StoryBatch:
        sentences = table["context"].combine_chunks().flatten()
        context = _padded(sentences, self.spec.sentence_length)
        ending = _padded(table["ending"].combine_chunks(), self.spec.length)
        return StoryBatch(context.view(-1, self.spec.sentences, self.spec.sentence_length), ending)


def _padded(column: pa.ListArray, length: int) -> Tensor:
    return pad_rows(column.flatten().to_numpy(), column.value_lengths().to_numpy(), length)


@dataclass(frozen=True)
class StoryCorpus(Tokenized):
    """Stories to train on, to validate with and to test with."""

    name: str
    spec: StorySpec
    config: Settings
    """Every decision that was made, by the user, the corpus's card or default."""
    tokenizer: Tokenizer
    train: StorySplit
    valid: StorySplit
    test: StorySplit
    report: StoryReport
    check: Check | None
    """Whether an ending follows from four sentences, decided by program. None where none can (all but the story world).
    """
    cloze: list[Cloze]
    """Labelled choices on the test stories. Empty where the corpus has no wrong endings (all but the story world)."""


def open_stories(spec: str, config: DataConfig = DataConfig()) -> StoryCorpus:  # noqa: B008
    """The story corpus that `spec` names: ``story_world``, ``rocstories:FILE``, a file or ``hf:NAME``.

    Prepared at the first call (see `textgan.data.story_preparation`), afterwards read from the cache folder, whose key
    is made of the source's identity, the resolved settings and the versions of the format and of the tokenizer library.
    Raises UserError for everything that the user can put right.
    """
    source = open_story_source(spec)
    settings = resolve(config, source.card.defaults if source.card else {})
    held_out = None if settings.held_out is None else open_story_source(settings.held_out)
    identity = [
        "stories",
        FORMAT,
        tokenizers.__version__,
        [source.name, source.identity],
        None if held_out is None else held_out.identity,
        asdict(settings),
        [file_identity(file) for file in model_tokenizer_files(settings)],
    ]
    folder = cached(identity, partial(prepare_stories, source, held_out, settings))
    report = StoryReport(**json.loads((folder / "corpus.json").read_text(encoding="utf-8")))
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    story_spec = StorySpec(
        vocab_size=tokenizer.size,
        length=report.longest_ending + 1,
        train_size=report.train,
        sentences=report.sentences,
        sentence_length=report.longest_sentence,
    )
    splits = {split: StorySplit(folder / f"{split}.arrow", story_spec) for split in SPLITS}
    return StoryCorpus(
        source.name,
        story_spec,
        settings,
        tokenizer,
        report=report,
        check=source.check,
        cloze=choices(splits["test"]),
        **splits,
    )


def model_tokenizer_files(settings: Settings) -> list[Path]:
    """The files that say how the model named as the tokenizer cuts text."""
    if not settings.tokenizer.startswith(PRETRAINED):
        return []
    folder = Path(settings.tokenizer.removeprefix(PRETRAINED)).expanduser()
    return sorted(file for kind in ("tokenizer*", "chat_template*") for file in folder.glob(kind))


def choices(split: StorySplit, seed: int = 0) -> list[Cloze]:
    """The right and a wrong ending of every story that has a wrong one, in an order drawn with `seed`."""
    draw = random.Random(seed)
    made = []
    for story, wrong in zip(split.stories(), split.wrong_endings(), strict=True):
        if wrong:
            answer = draw.randrange(2)
            endings = (wrong, story.ending) if answer else (story.ending, wrong)
            made.append(Cloze(story.sentences, endings, answer, story.name))
    return made


def open_cloze(path: Path | str) -> list[Cloze]:
    """The choices of a cloze file, in its order. Raises UserError, naming the line, for what is none."""
    return list(read_cloze(Path(path).expanduser()))


def open_story_source(spec: str) -> StorySource:
    """The stories that a spec names. Nothing is read yet.

    Raises UserError for a spec that is none, a corpus that has no stories or a file that cannot be used.
    """
    if spec.startswith("hf:"):
        name = spec.removeprefix("hf:")
        fingerprint, rows = hub_stories(name)
        return StorySource(name.rpartition("/")[2], None, [spec, fingerprint], rows)
    name, _, given = spec.partition(":")
    if name in card_names():
        return _card_source(name, given)
    path = Path(spec).expanduser()
    if not path.exists() and not path.suffix and path.name == spec:
        load_card(spec)  # says which names there are
    readers.require_file(path)
    if path.suffix.lower() not in readers.ENDINGS:
        raise UserError(f"{path}: unknown ending {path.suffix!r}; {', '.join(readers.ENDINGS)} are accepted")
    return StorySource(path.stem, None, [file_identity(path)], partial(read_stories, path))


def _card_source(name: str, given: str) -> StorySource:
    card = load_card(name)
    options = dict(card.read)
    kind = options.pop("kind")
    if kind not in KINDS:
        tellers = card_names(KINDS)
        raise UserError(f"corpus {name!r} has no stories; {', '.join(tellers)}, FILE and hf:NAME are accepted")
    arguments = card_arguments(card, given)
    identity = [asdict(card), *map(file_identity, arguments)]
    check: Check | None = None
    if kind == "story_world":
        from textgan.data.story_world import StoryWorld

        world = StoryWorld(options["rules"])
        # What is told depends on the program as well as on the card.
        told = repr(world.stories(50, options["seed"]))
        identity.append(hashlib.sha256(told.encode()).hexdigest())
        check = world.check
    return StorySource(name, card, identity, partial(KINDS[kind], *arguments, **options), check)


def encode_contexts(
    tokenizer: Tokenizer, spec: StorySpec, contexts: Sequence[Sequence[str]]
) -> Int64[Tensor, "n sentences length"]:
    """Token rows of contexts, each a sequence of `spec.sentences` sentences; too long ones are cut off.

    Raises UserError, naming the context, for another number of sentences and for one without a token.
    """
    for i, context in enumerate(contexts, start=1):
        if len(context) != spec.sentences:
            raise UserError(f"context {i}: {spec.sentences} sentences are accepted, found {len(context)}")
    rows = tokenizer.encode_prompts([sentence for context in contexts for sentence in context])
    if not all(rows):
        which, sentence = divmod([bool(row) for row in rows].index(False), spec.sentences)
        raise UserError(f"context {which + 1}: sentence {sentence + 1} is empty")
    rows = [tokenizer.shortened(row, spec.sentence_length) for row in rows]
    values = np.array([i for row in rows for i in row], dtype=np.int64)
    padded = pad_rows(values, np.array([len(row) for row in rows], dtype=np.int64), spec.sentence_length)
    return padded.view(len(contexts), spec.sentences, spec.sentence_length)


def encode_endings(tokenizer: Tokenizer, spec: StorySpec, endings: Sequence[str]) -> Int64[Tensor, "n {spec.length}"]:
    """Token rows of endings, with the end mark; too long ones are cut off."""
    rows = tokenizer.encode_batch(list(endings))
    return with_end([row[: spec.length - 1] for row in rows], spec.length)
