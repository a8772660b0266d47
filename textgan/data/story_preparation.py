"""Stories to token rows: split, find leaks, learn a vocabulary, encode. The training stories stream; see `story_leaks`
for what of the held-out ones is held in memory.

1. A hash of a story's context, without case, punctuation and spacing, says which split it belongs to, so that equal
   contexts share a split. With held-out data of its own, all of the first source is the training split.
2. Held-out stories that repeat a training story are left out.
3. The tokenizer is trained on the training split alone, contexts and endings.
4. Every split is encoded, and a story with a sentence that is too long shortened or dropped.

Prompts with answers are stories whose context is one text.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from textgan.data.cards import Card
from textgan.data.preparation import SPLITS, split_of
from textgan.data.segmentation import Cutter
from textgan.data.settings import Settings, make_tokenizer
from textgan.data.splits import CHUNK, ArrowWriter, read_arrow
from textgan.data.story_leaks import Leaks, find_leaks, plain_context
from textgan.data.story_readers import Story, Told
from textgan.data.story_report import StoryReport
from textgan.data.tokenizer import EOS, UNK, Tokenizer
from textgan.errors import UserError

TEXT_COLUMNS = [
    ("sentences", pa.list_(pa.string())),
    ("last", pa.string()),
    ("name", pa.string()),
    ("wrong", pa.string()),
]
TEXTS = pa.schema(TEXT_COLUMNS)
STORIES = pa.schema([*TEXT_COLUMNS, ("context", pa.list_(pa.list_(pa.int32()))), ("ending", pa.list_(pa.int32()))])


class Verdict(Protocol):
    """What `textgan.data.story_world` says of an ending."""

    @property
    def consistent(self) -> bool:
        """Whether it follows from its context."""

    @property
    def reason(self) -> str:
        """Why not; empty if it does."""


Check = Callable[[Sequence[str], str], Verdict]
"""Judges an ending after its context's sentences."""


@dataclass(frozen=True)
class StorySource:
    """Where a corpus's stories come from."""

    name: str
    card: Card | None
    identity: list[Any]
    """Plain values that change whenever the stories may have changed."""
    rows: Callable[[], Iterator[Told]]
    check: Check | None = None
    """The story world's judgement of an ending."""


@dataclass
class Count:
    """What was seen of a split. Tokens without end marks."""

    too_long: int = 0
    kept: int = 0
    sentence_tokens: int = 0
    ending_tokens: int = 0
    unknown: int = 0
    longest_sentence: int = 0
    longest_ending: int = 0

    def add(self, context: list[list[int]], ending: list[int]) -> None:
        """One more story that is kept."""
        self.kept += 1
        self.sentence_tokens += sum(map(len, context))
        self.ending_tokens += len(ending)
        self.unknown += sum(row.count(UNK) for row in (*context, ending))
        self.longest_sentence = max(self.longest_sentence, *map(len, context))
        self.longest_ending = max(self.longest_ending, len(ending))

    @property
    def tokens(self) -> int:
        """Of contexts and endings."""
        return self.sentence_tokens + self.ending_tokens


def prepare_stories(source: StorySource, held_out: StorySource | None, settings: Settings, folder: Path) -> None:
    """Fills `folder` with ``<split>.arrow``, ``tokenizer.json`` and ``corpus.json``.

    Raises UserError when a split would be empty, or for what the source raises.
    """
    texts = {split: folder / f"{split}.text.arrow" for split in SPLITS}
    with ExitStack() as stack:
        writers = {split: stack.enter_context(ArrowWriter(path, TEXTS)) for split, path in texts.items()}
        read = _distribute(source, settings, writers, to=None if held_out is None else "train")
        if held_out is not None:
            read += _distribute(held_out, settings, writers, to="held out")
    sentences = _sentences_of_a_context(texts.values())
    settings = dataclasses.replace(settings, max_prompt=_longest_of_a_context(settings, sentences))
    held_out_stories = (story for split in SPLITS[1:] for story, _ in _stories(texts[split]))
    left_out, leaks = find_leaks(held_out_stories, (story for story, _ in _stories(texts["train"])))
    tokenizer = make_tokenizer(settings, _training_texts(texts["train"], settings))
    tokenizer.save(folder / "tokenizer.json")
    counts: dict[str, Count] = {}
    numbers = itertools.count()  # of the held-out stories, as `find_leaks` counts them
    for split in SPLITS:
        rows = _stories(texts[split])
        if split != "train":
            rows = (told for told in rows if next(numbers) not in left_out)
        counts[split] = _encode(rows, folder / f"{split}.arrow", tokenizer, settings)
        texts[split].unlink()
    report = _report(source, settings, tokenizer, read, counts, leaks, sentences)
    _require_stories(report, settings)
    (folder / "corpus.json").write_text(json.dumps(report.as_dict(), ensure_ascii=False) + "\n", encoding="utf-8")


def _distribute(source: StorySource, settings: Settings, writers: dict[str, ArrowWriter], to: str | None) -> int:
    """Writes each story to its split's file. Gives the number read."""
    read = 0
    for story, wrong in islice(source.rows(), settings.limit):
        read += 1
        split = "train" if to == "train" else split_of(plain_context(story), settings, held_out=to is not None)
        writers[split].add(list(story.sentences), story.ending, story.name, wrong)
    return read


def _stories(path: Path) -> Iterator[Told]:
    """The stories of a split's file."""
    for batch in read_arrow(path):
        columns = (batch[name] for name in TEXTS.names)
        for sentences, ending, name, wrong in zip(*columns, strict=True):
            yield Story(tuple(sentences), ending, name), wrong


def _training_texts(path: Path, settings: Settings) -> Iterator[str]:
    """The sentences that the tokenizer learns from: of words and characters, only those that rows will hold."""
    cutter = None if settings.cut == "bpe" else Cutter(settings.cut, settings.lower)
    glue = " " if settings.cut == "word" else ""
    for story, _ in _stories(path):
        texts = (*story.sentences, story.ending)
        if cutter is None:
            yield from texts
            continue
        sentences = [cutter.words(text) for text in texts]
        longest = [settings.max_prompt or settings.max_length] * len(story.sentences) + [settings.max_length]
        if settings.too_long == "truncate" or all(len(words) <= n for words, n in zip(sentences, longest, strict=True)):
            yield from (glue.join(words[:n]) for words, n in zip(sentences, longest, strict=True))


def _encode(told: Iterator[Told], target: Path, tokenizer: Tokenizer, settings: Settings) -> Count:
    """Writes the token rows of one split."""
    count = Count()
    longest, longest_prompt = settings.max_length, settings.max_prompt or settings.max_length
    with ArrowWriter(target, STORIES) as writer:
        while batch := list(islice(told, CHUNK)):
            rows = iter(tokenizer.encode_prompts([text for story, _ in batch for text in story.sentences]))
            endings = tokenizer.encode_batch([story.ending for story, _ in batch])
            for (story, wrong), ending in zip(batch, endings, strict=True):
                context = [next(rows) for _ in story.sentences]
                if max(map(len, context)) > longest_prompt or len(ending) > longest:
                    count.too_long += 1
                    if settings.too_long == "drop":
                        continue
                if not all((*context, ending)):
                    raise UserError(f"story {story.name or story.sentences[0]!r}: a sentence has no token")
                context, ending = [tokenizer.shortened(row, longest_prompt) for row in context], ending[:longest]
                writer.add(list(story.sentences), story.ending, story.name, wrong, context, [*ending, EOS])
                count.add(context, ending)
    return count


def _sentences_of_a_context(files: Iterable[Path]) -> int:
    """How many there are. Raises UserError, naming one, where stories differ in it."""
    sentences = 0
    for story, _ in itertools.chain.from_iterable(map(_stories, files)):
        sentences = sentences or len(story.sentences)
        if len(story.sentences) != sentences:
            raise UserError(
                f"story {story.name or story.sentences[0]!r}: {len(story.sentences)} sentences before its ending, "
                f"where others have {sentences}: either stories or prompts with answers are accepted"
            )
    return sentences


def _longest_of_a_context(settings: Settings, sentences: int) -> int:
    """Most tokens of a sentence of a context. Raises UserError for what only prompts have."""
    if sentences > 1:
        for name in ("max_prompt", "chat_template"):
            if getattr(settings, name):
                raise UserError(f"{name} is {getattr(settings, name)}; it is for prompts with answers, not for stories")
    return settings.max_prompt or settings.max_length


def _report(
    source: StorySource,
    settings: Settings,
    tokenizer: Tokenizer,
    read: int,
    counts: dict[str, Count],
    leaks: Leaks,
    sentences: int,
) -> StoryReport:
    train, valid, test = (counts[split] for split in SPLITS)
    return StoryReport(
        corpus=source.name,
        title=source.card.title if source.card else source.name,
        licence=source.card.licence if source.card else "",
        tokenizer=tokenizer.signature,
        stories=read,
        too_long=sum(count.too_long for count in counts.values()),
        too_long_action=settings.too_long,
        max_length=settings.max_length,
        max_prompt=settings.max_prompt or settings.max_length,
        sentences=sentences,
        train=train.kept,
        valid=valid.kept,
        test=test.kept,
        **asdict(leaks),
        vocabulary=tokenizer.size,
        train_unknown=train.unknown / max(train.tokens, 1),
        held_out_unknown=(valid.unknown + test.unknown) / max(valid.tokens + test.tokens, 1),
        mean_sentence=train.sentence_tokens / max(sentences * train.kept, 1),
        mean_ending=train.ending_tokens / max(train.kept, 1),
        longest_sentence=max(count.longest_sentence for count in counts.values()),
        longest_ending=max(count.longest_ending for count in counts.values()),
    )


def _require_stories(report: StoryReport, settings: Settings) -> None:
    for split in SPLITS:
        if getattr(report, split) == 0:
            raise UserError(
                f"corpus {report.corpus!r}: no story for split {split!r}: of {report.stories:,} read there are "
                f"{report.train:,} to train, {report.valid:,} to validate, {report.test:,} to test (valid "
                f"{settings.valid:g}, test {settings.test:g}; left out as not new: {report.held_out_duplicates:,} "
                f"duplicates, {report.leaks:,} that repeat training stories; {report.too_long:,} longer than "
                f"max_length {report.max_length}, {report.too_long_action}); more stories or other settings are needed"
            )
