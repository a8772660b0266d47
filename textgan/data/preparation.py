"""Sentences to token rows: cut, split, learn a vocabulary, encode. Each pass streams; none holds the corpus in memory.

1. Every sentence is cut into words or characters and, if too long, shortened or dropped. A hash of what is left says
   which split it belongs to, so that equal sentences share a split, whatever else is in the corpus.
2. The tokenizer is trained on the training split alone.
3. Every split is encoded. A held-out sentence that, as a row of ids, is also a training sentence or was there before
   is left out: after unknown words and shortening different texts may be the same row.

With held-out data of its own, all of the first source is the training split.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from textgan.data.cards import Source
from textgan.data.report import CorpusReport
from textgan.data.segmentation import Cutter
from textgan.data.settings import Settings, make_tokenizer
from textgan.data.splits import ArrowWriter, read_arrow, sentence_hashes, with_end
from textgan.data.tokenizer import EOS, UNK, Tokenizer
from textgan.errors import UserError

SPLITS = ("train", "valid", "test")
TEXTS = pa.schema([("text", pa.string()), ("label", pa.string())])


@dataclass
class Count:
    """What was seen of a source or of a split."""

    sentences: int = 0
    empty: int = 0
    too_long: int = 0
    duplicates: int = 0
    leaks: int = 0
    kept: int = 0
    tokens: int = 0
    unknown: int = 0
    longest: int = 0


class HeldOut:
    """Admits a held-out sentence once, and only if it is not a training sentence."""

    def __init__(self, training: np.ndarray) -> None:
        self.training = training
        """Sorted hashes."""
        self._seen: set[int] = set()

    def admits(self, key: int, count: Count) -> bool:
        """Whether the sentence of this hash may stand in a held-out split; if not, `count` is told why."""
        place = int(np.searchsorted(self.training, key))
        if place < len(self.training) and self.training[place] == key:
            count.leaks += 1
            return False
        if key in self._seen:
            count.duplicates += 1
            return False
        self._seen.add(key)
        return True


def split_of(sentence: str, settings: Settings, held_out: bool) -> str:
    """The split a cut sentence belongs to, by a hash of it alone. `held_out`: one of validation and test."""
    digest = hashlib.blake2b(sentence.encode(), digest_size=8).digest()
    share = int.from_bytes(digest, "big") / 2**64
    if held_out:
        share *= settings.valid + settings.test
    if share < settings.test:
        return "test"
    return "valid" if share < settings.test + settings.valid or held_out else "train"


def prepare(source: Source, held_out: Source | None, settings: Settings, folder: Path) -> None:
    """Fills `folder` with ``<split>.arrow``, ``tokenizer.json`` and ``corpus.json``.

    Raises UserError when a split would be empty, or for what the source raises.
    """
    texts = {split: folder / f"{split}.text.arrow" for split in SPLITS}
    with (
        ArrowWriter(texts["train"], TEXTS) as train,
        ArrowWriter(texts["valid"], TEXTS) as valid,
        ArrowWriter(texts["test"], TEXTS) as test,
    ):
        writers = {"train": train, "valid": valid, "test": test}
        read, digest = _distribute(source, settings, writers, to=None if held_out is None else "train")
        prepared = {"sentences": read.sentences, "sha256": digest}
        if held_out is not None:
            more, _ = _distribute(held_out, settings, writers, to="held out")
            read = Count(*(a + b for a, b in zip(vars(read).values(), vars(more).values(), strict=True)))
    sentences = (text for batch in read_arrow(texts["train"]) for text in batch["text"])
    tokenizer = make_tokenizer(settings, sentences)
    tokenizer.save(folder / "tokenizer.json")
    counts: dict[str, Count] = {}
    rule: HeldOut | None = None
    for split in SPLITS:
        counts[split], hashes = _encode(texts[split], folder / f"{split}.arrow", tokenizer, settings, rule)
        texts[split].unlink()
        if rule is None:
            rule = HeldOut(np.unique(hashes))
            counts[split].duplicates = len(hashes) - len(rule.training)
    report = _report(source, settings, tokenizer, read, counts)
    _require_sentences(report, settings)
    made = {"report": report.as_dict(), "prepared": prepared}
    (folder / "corpus.json").write_text(json.dumps(made, ensure_ascii=False) + "\n", encoding="utf-8")


def _distribute(
    source: Source, settings: Settings, writers: dict[str, ArrowWriter], to: str | None
) -> tuple[Count, str]:
    """Writes each sentence, cut, to its split's file. Also gives the SHA-256 of what was read."""
    cutter = Cutter(settings.cut, settings.lower)
    glue = " " if settings.cut == "word" else ""
    count = Count()
    sha = hashlib.sha256()
    for text, label in islice(source.rows(), settings.limit):
        count.sentences += 1
        sha.update(f"{text}\n".encode())
        sentence = cutter.normalize(text)
        if settings.cut != "bpe":
            words = cutter.cut(sentence)
            if len(words) > settings.max_length:
                count.too_long += 1
                if settings.too_long == "drop":
                    continue
            sentence = glue.join(words[: settings.max_length])
        if not sentence:
            count.empty += 1
            continue
        split = "train" if to == "train" else split_of(sentence, settings, held_out=to is not None)
        writers[split].add(sentence, label)
    return count, sha.hexdigest()


def _encode(
    texts: Path, target: Path, tokenizer: Tokenizer, settings: Settings, held_out: HeldOut | None
) -> tuple[Count, np.ndarray]:
    """Writes the token rows of one split. Also gives the hash of every row written."""
    count = Count()
    written: list[int] = []
    longest = settings.max_length
    with ArrowWriter(target) as writer:
        for batch in read_arrow(texts):
            whole = tokenizer.encode_batch(batch["text"])
            rows = [row[:longest] for row in whole]
            hashes = sentence_hashes(with_end(rows, longest + 1)).tolist()
            for row, label, key, length in zip(rows, batch["label"], hashes, map(len, whole), strict=True):
                # Words and characters were shortened before; pieces are counted only now.
                count.too_long += length > longest
                if length > longest and settings.too_long == "drop":
                    continue
                if held_out is not None and not held_out.admits(key, count):
                    continue
                writer.add([*row, EOS], label)
                written.append(key)
                count.tokens += len(row)
                count.unknown += row.count(UNK)
                count.longest = max(count.longest, len(row))
    count.kept = len(written)
    return count, np.array(written, dtype=np.int64)


def _report(
    source: Source, settings: Settings, tokenizer: Tokenizer, read: Count, counts: dict[str, Count]
) -> CorpusReport:
    train, valid, test = (counts[split] for split in SPLITS)
    return CorpusReport(
        corpus=source.name,
        title=source.card.title if source.card else source.name,
        licence=source.card.licence if source.card else "",
        tokenizer=tokenizer.signature,
        sentences=read.sentences,
        empty=read.empty,
        too_long=read.too_long + train.too_long + valid.too_long + test.too_long,
        too_long_action=settings.too_long,
        max_length=settings.max_length,
        train=train.kept,
        valid=valid.kept,
        test=test.kept,
        train_duplicates=train.duplicates,
        held_out_duplicates=valid.duplicates + test.duplicates,
        leaks=valid.leaks + test.leaks,
        vocabulary=tokenizer.size,
        train_unknown=train.unknown / max(train.tokens, 1),
        held_out_unknown=(valid.unknown + test.unknown) / max(valid.tokens + test.tokens, 1),
        mean_length=train.tokens / max(train.kept, 1),
        longest=max(count.longest for count in counts.values()),
    )


def _require_sentences(report: CorpusReport, settings: Settings) -> None:
    kept = report.train + report.valid + report.test
    if kept == 0 and report.too_long_action == "drop" and report.too_long:
        raise UserError(
            f"corpus {report.corpus!r}: nothing is left of {report.sentences:,} sentences: {report.too_long:,} are "
            f"longer than max_length {report.max_length}; raise it, or truncate"
        )
    for split in SPLITS:
        if getattr(report, split) == 0:
            raise UserError(
                f"corpus {report.corpus!r}: no sentence for split {split!r}: of {report.sentences:,} read there are "
                f"{report.train:,} to train, {report.valid:,} to validate, {report.test:,} to test (valid "
                f"{settings.valid:g}, test {settings.test:g}; left out as not new: {report.held_out_duplicates:,} "
                f"duplicates, {report.leaks:,} training sentences); more sentences or larger fractions are needed"
            )
