"""A split of a corpus: token rows in a memory-mapped Arrow file, of which only what is asked for is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Int, Int64
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
        counted = self._rows[:]["label"].value_counts().to_pylist()
        return {entry["values"]: entry["counts"] for entry in sorted(counted, key=lambda entry: entry["values"])}

    def label_places(self, names: Sequence[str]) -> Int64[Tensor, " n"]:
        """The place of each sentence's label among `names`, which have every label there is."""
        places = pc.index_in(self._rows[:]["label"], value_set=pa.array(names, pa.string()))
        return torch.from_numpy(places.to_numpy().astype(np.int64))

    def hashes(self) -> Int64[np.ndarray, " distinct"]:
        """The hashes (see `sentence_hashes`) of the split's distinct sentences, sorted."""
        chunks = [sentence_hashes(self._pad(self._rows[i : i + CHUNK])) for i in range(0, len(self), CHUNK)]
        return np.unique(np.concatenate(chunks))

    def _pad(self, table: pa.Table) -> Int64[Tensor, "n length"]:
        column = table["tokens"].combine_chunks()
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
    lengths = np.array([len(ids) + 1 for ids in sentences], dtype=np.int64)
    values = [i for ids in sentences for i in (*ids, EOS)]
    return pad_rows(np.array(values, dtype=np.int64), lengths, length)


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


def read_arrow(path: Path) -> Iterator[dict[str, list[Any]]]:
    """The batches of a file that `ArrowWriter` wrote, as columns of Python values."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
        for batch in stream:
            yield batch.to_pydict()
