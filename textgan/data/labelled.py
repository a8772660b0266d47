"""`open_labelled`: sentences of two or more categories, prepared as those of any text corpus.

A category is a label: a column of a table, the name of a file in a folder, or what a card knows of its sentences.
Splitting does not look at labels, so a sentence with two labels is in one split with both; held out, with the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, islice, zip_longest
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int, Int64
from torch import Tensor

from textgan.data.cards import READERS, Source, card_names, load_card, open_source
from textgan.data.corpus import prepared_corpus
from textgan.data.preparation import SPLITS
from textgan.data.report import CorpusReport
from textgan.data.settings import DataConfig, Settings, resolve
from textgan.data.spec import LabelledSpec
from textgan.data.splits import Split
from textgan.data.tokenizer import Tokenized, Tokenizer
from textgan.errors import UserError

SHOWN = 12
"""Categories that an error lists."""


class LabelledBatch(NamedTuple):
    """Token rows of sentences, and what category each is of."""

    tokens: Tensor
    """``(B, T)`` int64: words, the end mark, padding."""
    category: Tensor
    """``(B,)`` int64: places in `LabelledSpec.categories`."""


class LabelledSplit:
    """Sentences and their categories, in an order of their own: files are sorted by category, and so the first
    sentences would be of one. The order is fixed. In memory are 8 bytes a sentence: its place and its category."""

    def __init__(self, split: Split, categories: tuple[str, ...], tokenizer: Tokenizer) -> None:
        self._split, self._tokenizer = split, tokenizer
        order = np.arange(len(split), dtype=np.int32)
        np.random.default_rng(0).shuffle(order)
        self._order = torch.from_numpy(order)
        self._category = split.label_places(categories)[self._order]

    def __len__(self) -> int:
        return len(self._split)

    def take(self, indices: Int[Tensor, " n"]) -> LabelledBatch:
        """The sentences at these positions, in this order."""
        return LabelledBatch(self._split.take(self._order[indices]), self._category[indices].long())

    def tokens(self, limit: int | None = None) -> Int64[Tensor, "n length"]:
        """The first `limit` sentences, or all."""
        return self._split.take(self._order[:limit])

    def categories(self, limit: int | None = None) -> Int64[Tensor, " n"]:
        """Their categories."""
        return self._category[:limit].long()

    def sentences(self, limit: int | None = None) -> list[list[str]]:
        """The same sentences as token strings, without marks; unknown words are ``<unk>``."""
        return [self._tokenizer.strings(row) for row in self.tokens(limit).tolist()]

    def hashes(self) -> Int64[np.ndarray, " distinct"]:
        """The hashes (see `textgan.data.splits.sentence_hashes`) of the split's distinct sentences, sorted."""
        return self._split.hashes()


@dataclass(frozen=True)
class LabelledCorpus(Tokenized):
    """Sentences of categories to train on, to validate with and to test with."""

    name: str
    spec: LabelledSpec
    config: Settings
    """Every decision that was made, by the user, the corpus's card or default."""
    tokenizer: Tokenizer
    train: LabelledSplit
    valid: LabelledSplit
    test: LabelledSplit
    report: CorpusReport


def open_labelled(
    spec: str,
    config: DataConfig = DataConfig(),  # noqa: B008
    field: str | None = None,
    label_field: str | None = None,
) -> LabelledCorpus:
    """The labelled corpus that `spec` names (see `textgan.data.cards`).

    `field` and `label_field` are the columns of a table that hold the text and the category. With a limit, as many
    sentences are read of each category. Raises UserError for what `open_corpus` does, and where there are not two
    categories or more, or one of them is missing from a split, or a sentence has none.
    """
    source = open_source(spec, field, label_field)
    settings = resolve(config, source.card.defaults if source.card else {})
    held_out = None if settings.held_out is None else open_source(settings.held_out, field, label_field)
    if settings.limit is not None:
        source = _balanced(source, settings.limit)
        held_out = None if held_out is None else _balanced(held_out, settings.limit)
    text = prepared_corpus(source, held_out, settings)
    splits: dict[str, Split] = {split: getattr(text, split) for split in SPLITS}
    found = {split: rows.label_counts() for split, rows in splits.items()}
    counts = {name: [found[split].get(name, 0) for split in SPLITS] for name in sorted(set().union(*found.values()))}
    _require_categories(text.name, counts)
    names = tuple(counts)
    return LabelledCorpus(
        name=text.name,
        spec=LabelledSpec(**asdict(text.spec), categories=names),
        config=settings,
        tokenizer=text.tokenizer,
        report=replace(text.report, categories=counts),
        **{split: LabelledSplit(rows, names, text.tokenizer) for split, rows in splits.items()},
    )


@runtime_checkable
class HasLabel(Protocol):
    """A thing with a label."""

    @property
    def label(self) -> str: ...


AnyRow = TypeVar("AnyRow", bound=HasLabel)


def in_turn(rows: Callable[[], Iterator[AnyRow]], limit: int) -> Iterator[AnyRow]:
    """`limit` rows, one of each label after the other for as long as it has any, each label's first rows first.

    All rows are read; of each label no more than `limit` are held in memory.
    """
    kept: dict[str, list[AnyRow]] = {}
    for row in rows():
        same = kept.setdefault(row.label, [])
        if len(same) < limit:
            same.append(row)
    turns = chain.from_iterable(zip_longest(*kept.values()))
    return islice((row for row in turns if row is not None), limit)


def _balanced(source: Source, limit: int) -> Source:
    return replace(source, identity=[*source.identity, "labels in turn"], rows=partial(in_turn, source.rows, limit))


def _require_categories(name: str, counts: Mapping[str, list[int]]) -> None:
    """Raises UserError unless there are two categories, each in every split, and no sentence without one."""
    listed = ", ".join(f"{label or 'no label'} {' / '.join(map(str, ns))}" for label, ns in [*counts.items()][:SHOWN])
    listed += ", ..." if len(counts) > SHOWN else ""
    found = f"found, to train / validate / test: {listed}"
    missing = [(label, split) for label, ns in counts.items() for split, n in zip(SPLITS, ns, strict=True) if n == 0]
    if set(counts) == {""}:
        cards = ", ".join(card for card in card_names(READERS) if load_card(card).categories)
        raise UserError(
            f"corpus {name!r} has no labels: a table with a column label (--label-field names another), a folder with "
            f"a .txt file for each category, or one of the cards {cards} is accepted; {found}"
        )
    if "" in counts:
        raise UserError(
            f"corpus {name!r}: {sum(counts['']):,} sentences have no label; every sentence must have one; {found}"
        )
    if len(counts) == 1:
        raise UserError(f"corpus {name!r} has one category; at least two are accepted; {found}")
    if missing:
        label, split = missing[0]
        raise UserError(
            f"corpus {name!r}: no sentence of category {label!r} in split {split!r}; at least one of each category in "
            f"each split is accepted: more sentences or larger fractions are needed; {found}"
        )
