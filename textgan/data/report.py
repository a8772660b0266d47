"""What became of a corpus's sentences on their way into its splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class CorpusReport:
    """Counts of sentences, unless said otherwise. With held-out data of its own, both sources are counted together."""

    corpus: str
    title: str
    licence: str
    tokenizer: str
    """The tokenizer's signature."""
    sentences: int
    """Read."""
    empty: int
    """Of them blank, and left out."""
    too_long: int
    """Longer than `max_length` tokens."""
    too_long_action: str
    """``truncate`` or ``drop``."""
    max_length: int
    train: int
    valid: int
    test: int
    train_duplicates: int
    """Training sentences that stand there before. They stay: they are part of the distribution."""
    held_out_duplicates: int
    """Held-out sentences that stand in a held-out split already, and were left out."""
    leaks: int
    """Held-out sentences that, as token ids, stand in the training split, and were left out."""
    vocabulary: int
    """Token ids, the four marks included."""
    train_unknown: float
    """Fraction of the training split's tokens that are ``<unk>``."""
    held_out_unknown: float
    """The same of the validation and test splits."""
    mean_length: float
    """Tokens of a training sentence, the end mark not counted."""
    longest: int
    """Tokens of the longest sentence of any split, the end mark not counted."""
    categories: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Of a labelled corpus, the sentences of each category to train, to validate and to test."""

    def lines(self) -> list[str]:
        """The report for people."""
        held_out = (
            f"{self.held_out_duplicates:,} duplicates and {self.leaks:,} that are also training sentences left out"
        )
        action = "shortened" if self.too_long_action == "truncate" else "dropped"
        counts = "; ".join(f"{name} {' / '.join(f'{n:,}' for n in ns)}" for name, ns in self.categories.items())
        categories = [f"{len(self.categories)} categories (to train / validate / test): {counts}"]
        return [
            f"{self.corpus}: {self.title}" + (f" ({self.licence})" if self.licence else ""),
            f"{self.sentences:,} sentences read; {self.empty:,} empty; "
            f"{self.too_long:,} longer than {self.max_length} tokens, {action}",
            f"{self.train:,} to train, {self.valid:,} to validate, {self.test:,} to test",
            f"training: {self.train_duplicates:,} duplicates kept; held out: {held_out}",
            f"vocabulary {self.vocabulary:,} ({self.tokenizer}); unknown words: {self.train_unknown:.2%} of training, "
            f"{self.held_out_unknown:.2%} of held-out tokens",
            f"{self.mean_length:.1f} tokens a sentence, at most {self.longest}",
            *(categories if self.categories else []),
        ]

    def as_dict(self) -> dict[str, Any]:
        """The report for machines: plain values."""
        return asdict(self)
