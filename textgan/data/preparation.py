"""Sentences to token rows: cut, split, learn a vocabulary, encode. Each pass streams; none holds the corpus in memory.

What grows in memory is 8 bytes a training sentence (its hash), about 40 a held-out one (to find repetitions), and each
different word, to be counted.

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
from array import array
from dataclasses import dataclass
from itertools import compress, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Int64

from textgan.data.cards import Source
from textgan.data.report import CorpusReport
from textgan.data.segmentation import Cutter
from textgan.data.settings import Settings, make_tokenizer
from textgan.data.splits import (
    SCHEMA,
    ArrowWriter,
    are_among,
    read_arrow,
    record_batches,
    sentence_hashes,
    sorted_distinct,
    with_end,
)
from textgan.data.tokenizer import PAD, UNK, Tokenizer
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

    def __init__(self, training: Int64[np.ndarray, " n"]) -> None:
        """`training`: hashes, ascending."""
        self._training = training
        self._admitted = np.empty(0, dtype=np.int64)  # ascending as well

    def admits(self, hashes: Int64[np.ndarray, " n"], count: Count) -> Bool[np.ndarray, " n"]:
        """Which sentences of these hashes may stand in a held-out split; `count` is told why the others may not."""
        is_leak = are_among(hashes, self._training)
        is_new = np.zeros(len(hashes), dtype=bool)
        is_new[np.unique(hashes, return_index=True)[1]] = True
        is_new &= ~are_among(hashes, self._admitted)
        count.leaks += int(is_leak.sum())
        count.duplicates += int((~is_new & ~is_leak).sum())
        admitted = is_new & ~is_leak
        self._admitted = np.sort(np.concatenate([self._admitted, hashes[admitted]]))
        return admitted


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
    counts = {split: Count() for split in SPLITS}
    rows = {split: folder / f"{split}.arrow" for split in SPLITS}
    hashes = _encode(texts["train"], rows["train"], tokenizer, settings, counts["train"])
    training = sorted_distinct(hashes)
    counts["train"].duplicates = len(hashes) - len(training)
    rule = HeldOut(training)
    for split in ("valid", "test"):
        every = folder / f"{split}.rows.arrow"
        hashes = _encode(texts[split], every, tokenizer, settings, counts[split])
        _copy(every, rows[split], rule.admits(hashes, counts[split]))
        every.unlink()
    for split in SPLITS:
        texts[split].unlink()
        _measure(rows[split], counts[split])
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
        if settings.cut == "bpe":
            sentence = cutter.normalize(text)
        else:
            words = cutter.words(text)
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
    texts: Path, target: Path, tokenizer: Tokenizer, settings: Settings, count: Count
) -> Int64[np.ndarray, " rows"]:
    """Writes the token rows of one split, and gives their hashes. `count` is told of those that are too long."""
    longest = settings.max_length
    hashes = array("q")
    with ArrowWriter(target) as writer:
        for batch in record_batches(texts):
            rows, labels = tokenizer.encode_batch(batch["text"].to_pylist()), batch["label"]
            # Words and characters were shortened before; pieces are counted only now.
            is_short = np.array([len(row) <= longest for row in rows])
            count.too_long += int((~is_short).sum())
            if settings.too_long == "drop":
                rows, labels = list(compress(rows, is_short)), labels.filter(pa.array(is_short))
            rows = [row[:longest] for row in rows]
            lengths = np.array([len(row) + 1 for row in rows], dtype=np.int32)
            tokens = with_end(rows, int(lengths.max(initial=1))).numpy()
            hashes.frombytes(sentence_hashes(torch.from_numpy(tokens)).tobytes())
            ends = np.cumsum(lengths, dtype=np.int32)
            lists = pa.ListArray.from_arrays(np.append(np.int32(0), ends), pa.array(tokens[tokens != PAD], pa.int32()))
            writer.add_batch(pa.record_batch([lists, labels], schema=SCHEMA))
    return np.frombuffer(hashes, dtype=np.int64)


def _copy(rows: Path, target: Path, chosen: Bool[np.ndarray, " rows"]) -> None:
    """Writes the chosen token rows of a file to another."""
    with ArrowWriter(target) as writer:
        begin = 0
        for batch in record_batches(rows):
            writer.add_batch(batch.filter(pa.array(chosen[begin : begin + len(batch)])))
            begin += len(batch)


def _measure(rows: Path, count: Count) -> None:
    """Counts the token rows of one split. Their end marks do not count."""
    for batch in record_batches(rows):
        lengths, tokens = batch["tokens"].value_lengths().to_numpy() - 1, batch["tokens"].flatten().to_numpy()
        count.kept += len(lengths)
        count.tokens += int(lengths.sum())
        count.unknown += int((tokens == UNK).sum())
        count.longest = max(count.longest, int(lengths.max(initial=0)))


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
