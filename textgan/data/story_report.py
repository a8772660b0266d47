"""What became of a corpus's stories on their way into its splits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class StoryReport:
    """Counts of stories, or of prompts with answers, unless said otherwise. With held-out data of its own, both sources
    are counted together."""

    corpus: str
    title: str
    licence: str
    tokenizer: str
    """The tokenizer's signature."""
    stories: int
    """Read."""
    too_long: int
    """With a sentence of more than `max_length` tokens."""
    too_long_action: str
    """``truncate`` or ``drop``."""
    max_length: int
    max_prompt: int
    """The same as `max_length` for a prompt; of stories its equal."""
    sentences: int
    """S: sentences of a context. 1: the stories are prompts with answers."""
    train: int
    valid: int
    test: int
    train_duplicates: int
    """Training stories that stand there before, context and ending. They stay: they are part of the distribution."""
    same_context: int
    """Held-out stories left out because a training story has the same context."""
    shared_sentences: int
    """Held-out stories left out because at least three of their five sentences stand in one training story."""
    near_duplicates: int
    """Held-out stories left out because more than half of their word 5-grams stand in one training story."""
    held_out_duplicates: int
    """Held-out stories left out because their context stands in a held-out split already."""
    known_endings: int
    """Held-out stories, kept, whose ending is word for word a training story's."""
    vocabulary: int
    """Token ids, the four marks included."""
    train_unknown: float
    """Fraction of the training split's tokens that are ``<unk>``."""
    held_out_unknown: float
    """The same of the validation and test splits."""
    mean_sentence: float
    """Tokens of a training sentence of a context."""
    mean_ending: float
    """Tokens of a training ending, the end mark not counted."""
    longest_sentence: int
    """Tokens of the longest sentence of a context in any split."""
    longest_ending: int
    """Tokens of the longest ending in any split, the end mark not counted."""

    @property
    def leaks(self) -> int:
        """Held-out stories left out because of a training story."""
        return self.same_context + self.shared_sentences + self.near_duplicates

    def lines(self) -> list[str]:
        """The report for people."""
        action = "shortened" if self.too_long_action == "truncate" else "dropped"
        read = f"{self.stories:,} stories read; {self.too_long:,} with a sentence longer than {self.max_length} tokens"
        context, sentence, ending = "context", "a sentence", "an ending"
        if self.sentences == 1:
            read = (
                f"{self.stories:,} prompts with answers read; {self.too_long:,} with a prompt longer than "
                f"{self.max_prompt} or an answer longer than {self.max_length} tokens"
            )
            context, sentence, ending = "prompt", "a prompt", "an answer"
        return [
            f"{self.corpus}: {self.title}" + (f" ({self.licence})" if self.licence else ""),
            f"{read}, {action}",
            f"{self.train:,} to train, {self.valid:,} to validate, {self.test:,} to test; "
            f"{self.train_duplicates:,} training duplicates kept",
            f"left out of the held-out stories: {self.same_context:,} with the {context} of a training story, "
            f"{self.shared_sentences:,} with three sentences of one, {self.near_duplicates:,} with half the 5-grams of "
            f"one, {self.held_out_duplicates:,} duplicates",
            f"held-out ones with {ending} that is word for word a training story's: {self.known_endings:,}, kept",
            f"vocabulary {self.vocabulary:,} ({self.tokenizer}); unknown words: {self.train_unknown:.2%} of training, "
            f"{self.held_out_unknown:.2%} of held-out tokens",
            f"{self.mean_sentence:.1f} tokens {sentence}, at most {self.longest_sentence}; "
            f"{self.mean_ending:.1f} {ending}, at most {self.longest_ending}",
        ]

    def as_dict(self) -> dict[str, Any]:
        """The report for machines: plain values."""
        return asdict(self)
