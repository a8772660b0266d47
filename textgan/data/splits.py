"""A split of a corpus: token rows in a memory-mapped Arrow file, of which only what is asked for is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Bool, Int, Int32, Int64
from torch import Tensor

from textgan.data.tokenizer import EOS, PAD, Tokenizer

SCHEMA = pa.schema([("tokens", pa.list_(pa.int32())), ("label", pa.string())])
CHUNK = 10_000
"""Sentences that are held in memory at once where all of a split is gone through."""


class ArrowWriter:
    """Writes records to an Arrow stream file, in batches. A context manager."""

    def __init__(self, path: Path, schema: pa.Schema = SCHEMA) -> None:
        self._schema = schema
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_stream(self._sink, schema)
        self._rows: list[tuple[Any, ...]] = []

    def add(self, *row: Any) -> None:
        """One record: a value for each column."""
        self._rows.append(row)
        if len(self._rows) == CHUNK:
            self._flush()

    def add_batch(self, batch: pa.RecordBatch) -> None:
        """Records that are columns already, after all those that were added before."""
        self._flush()
        if len(batch):
            self._writer.write_batch(batch)

    def __enter__(self) -> ArrowWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._writer.close()
        self._sink.close()

    def _flush(self) -> None:
        if self._rows:
            columns = [pa.array(c, f.type) for c, f in zip(zip(*self._rows, strict=True), self._schema, strict=True)]
            self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
            self._rows.clear()


class Split:
    """Sentences as rows of token ids: words, the end mark, padding."""

    def __init__(self, path: Path, length: int, tokenizer: Tokenizer) -> None:
        from datasets import Dataset  # takes a second, and the games that are not given a corpus need none of it

        self.length = length
        """T: columns of every row, the end mark included."""
        self._tokenizer = tokenizer
        self._path = path
        self._rows = Dataset.from_file(str(path)).with_format("arrow")

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, indices: Int[Tensor, " n"]) -> Int64[Tensor, "n length"]:
        """The sentences at these positions, in this order."""
        return self._pad(self._rows[indices.tolist()])

    def tokens(self, limit: int | None = None) -> Int64[Tensor, "n length"]:
        """The first `limit` sentences, or all."""
        return self._pad(self._rows[: len(self) if limit is None else limit])

    def sentences(self, limit: int | None = None) -> list[list[str]]:
        """The same as token strings, without marks; unknown words are ``<unk>``."""
        return [self._tokenizer.strings(row) for row in self.tokens(limit).tolist()]

    def labels(self, limit: int | None = None) -> list[str]:
        """The label of each of the first `limit` sentences; empty strings where the corpus has none."""
        labels: list[str] = self._rows[: len(self) if limit is None else limit]["label"].to_pylist()
        return labels

    def label_counts(self) -> dict[str, int]:
        """How many sentences have each label, sorted by the label."""
        counts: Counter[str] = Counter()
        for batch in record_batches(self._path):
            counts.update({entry["values"]: entry["counts"] for entry in batch["label"].value_counts().to_pylist()})
        return dict(sorted(counts.items()))

    def label_places(self, names: Sequence[str]) -> Int32[Tensor, " n"]:
        """The place of each sentence's label among `names`, which have every label there is. 4 bytes a sentence."""
        value_set = pa.array(names, pa.string())
        places = (pc.index_in(batch["label"], value_set).to_numpy() for batch in record_batches(self._path))
        return torch.from_numpy(joined(places, len(self), np.int32))

    def hashes(self) -> Int64[np.ndarray, " distinct"]:
        """The hashes (see `sentence_hashes`) of the split's distinct sentences, sorted. 8 bytes a sentence."""
        hashes = (sentence_hashes(self._pad(batch)) for batch in record_batches(self._path))
        return sorted_distinct(joined(hashes, len(self), np.int64))

    def _pad(self, table: pa.Table | pa.RecordBatch) -> Int64[Tensor, "n length"]:
        column = table["tokens"]
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        return pad_rows(column.flatten().to_numpy(), column.value_lengths().to_numpy(), self.length)


def pad_rows(
    values: Int[np.ndarray, " tokens"], lengths: Int[np.ndarray, " n"], length: int
) -> Int64[Tensor, "n {length}"]:
    """Rows of `length` ids out of the ids of all sentences, one after the other, and the number of each."""
    rows = np.full((len(lengths), length), PAD, dtype=np.int64)
    rows[np.arange(length) < lengths[:, None]] = values
    return torch.from_numpy(rows)


def with_end(sentences: Sequence[Sequence[int]], length: int) -> Int64[Tensor, "n {length}"]:
    """Rows of `length` ids: each sentence of fewer ids, the end mark, padding."""
    lengths = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
    values = np.fromiter(chain.from_iterable(sentences), dtype=np.int64, count=lengths.sum())
    rows = pad_rows(values, lengths, length)
    rows.numpy()[np.arange(len(rows)), lengths] = EOS
    return rows


def sentence_hashes(tokens: Int[Tensor, "n length"], pad: int = PAD) -> Int64[np.ndarray, " n"]:
    """A 64-bit hash of each sentence. Padding does not count, so that rows of different lengths can be compared.

    The same on every machine. ``h <- mix(golden * h + token + 1)`` over the tokens, where `mix` is the finaliser of
    SplitMix64 (Steele, Lea and Flood 2014). Among a billion sentences two different ones share a hash with p < 0.03.
    """
    rows = tokens.cpu().numpy()
    hashes = np.zeros(len(rows), dtype=np.uint64)
    for column in rows.T:
        mixed = hashes * np.uint64(0x9E3779B97F4A7C15) + column.astype(np.uint64) + np.uint64(1)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashes = np.where(column != pad, mixed ^ (mixed >> np.uint64(31)), hashes)
    return hashes.view(np.int64)


def joined(parts: Iterable[np.ndarray], n: int, dtype: type[np.generic]) -> np.ndarray:
    """The parts, one after the other, in an array of `n` that is not copied."""
    whole = np.empty(n, dtype=dtype)
    end = 0
    for part in parts:
        whole[end : end + len(part)] = part
        end += len(part)
    assert end == n, (end, n)
    return whole


def sorted_distinct(values: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " distinct"]:
    """The different values, sorted. They are moved to the front of `values` itself, so that no memory is needed."""
    values.sort()
    kept = 0
    for begin in range(0, len(values), CHUNK):
        part = values[begin : begin + CHUNK].copy()
        is_new = np.diff(part, prepend=part[0]) != 0
        is_new[0] = kept == 0 or part[0] != values[kept - 1]
        part = part[is_new]
        values[kept : kept + len(part)] = part
        kept += len(part)
    return values[:kept]


def are_among(values: Int64[np.ndarray, " n"], sorted_values: Int64[np.ndarray, " m"]) -> Bool[np.ndarray, " n"]:
    """Whether each of `values` is one of `sorted_values`, ascending, which are searched and not copied."""
    if len(sorted_values) == 0:
        return np.zeros(len(values), dtype=bool)
    places = np.searchsorted(sorted_values, values)
    return sorted_values[np.minimum(places, len(sorted_values) - 1)] == values


def record_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The batches of a file that `ArrowWriter` wrote, read one by one: none stays in memory."""
    with pa.OSFile(str(path), "rb") as source, pa.ipc.open_stream(source) as stream:
        yield from stream


def read_arrow(path: Path) -> Iterator[dict[str, list[Any]]]:
    """The same as columns of Python values."""
    for batch in record_batches(path):
        yield batch.to_pydict()
