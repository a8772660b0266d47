"""What a user may decide about a corpus, the values that hold where nothing was said, the tokenizer that follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from textgan.data.segmentation import Kind
from textgan.data.tokenizer import DEFAULT_VOCAB_SIZE, PRETRAINED, PretrainedTokenizer, Tokenizer
from textgan.errors import UserError

TooLong = Literal["truncate", "drop"]


@dataclass(frozen=True)
class DataConfig:
    """How text becomes token rows. None: what the corpus's card says, else the default named."""

    tokenizer: str | None = None
    """What a token is: word, char, bpe (byte-level pieces), or hf:PATH, what the transformers model in the folder PATH
    takes for one. Default: word."""
    vocab_size: int | None = None
    """Most token ids, the four marks included; the rarest tokens become <unk>. Default: 20000, for bpe 8000. The
    vocabulary of hf:PATH stays whole."""
    min_count: int | None = None
    """Tokens seen fewer times in training become <unk>; for bpe, what a merge needs. Default: 1, for bpe 2."""
    lower: bool | None = None
    """Bring text to lower case. Default: False."""
    max_length: int | None = None
    """Most tokens of a sentence, the end mark not counted. Default: 32."""
    max_prompt: int | None = None
    """The same of a prompt, where a corpus has prompts with answers; a chat template counts. Default: max_length."""
    too_long: TooLong | None = None
    """What becomes of longer sentences. Default: truncate."""
    limit: int | None = None
    """Read only so many sentences, the first ones. Default: all."""
    valid: float | None = None
    """Fraction of the sentences in the validation split. Default: 0.1."""
    test: float | None = None
    """Fraction of the sentences in the test split. Default: 0.1."""
    held_out: str | None = None
    """Another corpus, split in this proportion into validation and test; the first is all training. Default: none."""
    chat_template: bool | None = None
    """Put prompts, as what the user says, into the chat template that comes with the tokenizer hf:PATH. Default: False.
    """


@dataclass(frozen=True)
class Settings(DataConfig):
    """A `DataConfig` in which everything is decided. None of `limit` and `held_out` means that there is none."""

    tokenizer: str = "word"
    vocab_size: int = DEFAULT_VOCAB_SIZE["word"]
    min_count: int = 1
    lower: bool = False
    max_length: int = 32
    max_prompt: int | None = None
    too_long: TooLong = "truncate"
    limit: int | None = None
    valid: float = 0.1
    test: float = 0.1
    held_out: str | None = None
    chat_template: bool = False

    def __post_init__(self) -> None:
        if self.tokenizer not in get_args(Kind) and not self.tokenizer.startswith(PRETRAINED):
            raise UserError(f"tokenizer {self.tokenizer!r}: word, char, bpe or {PRETRAINED}PATH is accepted")
        if self.chat_template and not self.tokenizer.startswith(PRETRAINED):
            raise UserError(
                f"chat_template is on, and tokenizer {self.tokenizer!r} has none: {PRETRAINED}PATH may have"
            )
        for name in ("max_length", "max_prompt", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} {value}: at least 1 is accepted")
        for name in ("valid", "test"):
            if not 0 < getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name)}: a fraction between 0 and 1 is accepted")
        if self.held_out is None and self.valid + self.test >= 1:
            raise UserError(f"valid {self.valid} and test {self.test} leave nothing to train on: less than 1 together")

    @property
    def cut(self) -> Kind:
        """By which rules text is cut before there is a vocabulary."""
        return "word" if self.tokenizer == "word" else "char" if self.tokenizer == "char" else "bpe"


def resolve(config: DataConfig, card_defaults: Mapping[str, Any]) -> Settings:
    """The user's word, else the card's, else the default. Raises UserError for a value that is out of range."""
    said = {f.name: getattr(config, f.name) for f in fields(config) if getattr(config, f.name) is not None}
    chosen = {**card_defaults, **said}
    kind = Settings(tokenizer=chosen.get("tokenizer", "word")).cut
    return Settings(**{"vocab_size": DEFAULT_VOCAB_SIZE[kind], "min_count": 2 if kind == "bpe" else 1, **chosen})


def make_tokenizer(settings: Settings, sentences: Iterable[str]) -> Tokenizer:
    """The tokenizer that the settings name: learned from `sentences`, or a model's, which does not look at them.

    Raises UserError when there is none in the model's folder, or for what `Tokenizer.train` raises.
    """
    if settings.tokenizer.startswith(PRETRAINED):
        folder = Path(settings.tokenizer.removeprefix(PRETRAINED)).expanduser()
        return PretrainedTokenizer.of_folder(folder, settings.lower, settings.chat_template)
    return Tokenizer.train(settings.cut, sentences, settings.vocab_size, settings.min_count, settings.lower)
