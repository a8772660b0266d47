"""`open_corpus`: from what the user calls a corpus to splits of token rows, prepared once and kept in a cache."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from functools import partial

import tokenizers

from textgan.data.cache import cached
from textgan.data.cards import Card, Source, open_source
from textgan.data.preparation import SPLITS, prepare
from textgan.data.report import CorpusReport
from textgan.data.settings import DataConfig, Settings, resolve
from textgan.data.spec import TextSpec
from textgan.data.splits import Split
from textgan.data.tokenizer import Tokenized, Tokenizer

FORMAT = 2
"""Raised whenever the same sentences may be prepared differently than before, so that no old cache is found."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TextCorpus(Tokenized):
    """Sentences to train on, to validate with and to test with."""

    name: str
    spec: TextSpec
    config: Settings
    """Every decision that was made, by the user, the corpus's card or default."""
    tokenizer: Tokenizer
    train: Split
    valid: Split
    test: Split
    report: CorpusReport


def open_corpus(spec: str, config: DataConfig = DataConfig(), field: str | None = None) -> TextCorpus:  # noqa: B008
    """The corpus that `spec` names (see `textgan.data.cards`). `field`: the column of a table that holds the text.

    Prepared at the first call, afterwards read from the cache folder, whose key is made of the source's identity, the
    resolved settings and the versions of the format and of the tokenizer library. Warns when a packaged corpus no
    longer comes out as its card says. Raises UserError for everything that the user can put right.
    """
    source = open_source(spec, field)
    settings = resolve(config, source.card.defaults if source.card else {})
    held_out = None if settings.held_out is None else open_source(settings.held_out, field)
    return prepared_corpus(source, held_out, settings)


def prepared_corpus(source: Source, held_out: Source | None, settings: Settings) -> TextCorpus:
    """The corpus that is made of these sources, or was at an earlier call."""
    identity = [
        FORMAT,
        tokenizers.__version__,
        [source.name, source.identity],
        None if held_out is None else held_out.identity,
        asdict(settings),
    ]
    folder = cached(identity, partial(prepare, source, held_out, settings))
    made = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
    if source.card is not None and settings.limit is None:
        check_prepared(source.card, made["prepared"])
    report = CorpusReport(**made["report"])
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    text_spec = TextSpec(vocab_size=tokenizer.size, length=report.longest + 1, train_size=report.train)
    splits = {split: Split(folder / f"{split}.arrow", text_spec.length, tokenizer) for split in SPLITS}
    return TextCorpus(source.name, text_spec, settings, tokenizer, report=report, **splits)


def check_prepared(card: Card, prepared: dict[str, object]) -> None:
    """Warns if a packaged corpus was read otherwise than when its card was written: another version of its package?"""
    if card.prepared and dict(card.prepared) != prepared:
        log.warning(
            "corpus %r is not what its card describes: %s sentences (SHA-256 %.12s), expected %s (%.12s)",
            card.name,
            *(prepared[key] for key in ("sentences", "sha256")),
            *(card.prepared[key] for key in ("sentences", "sha256")),
        )
