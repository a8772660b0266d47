"""Which generator of sentences: the networks there are to choose from, and their sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textgan.data.spec import NONE, TextSpec
from textgan.errors import UserError, check_above_zero, check_at_least, check_share
from textgan.networks.lstm import LSTMGenerator
from textgan.networks.relational_memory import RelationalMemoryGenerator
from textgan.networks.text_generator import TextGenerator
from textgan.networks.tied_lstm import TiedLSTMGenerator
from textgan.networks.transformer import TransformerGenerator

PRETRAINED = "hf:"
KINDS = ("lstm", "tied", "relational", "transformer")


@dataclass(frozen=True)
class GeneratorConfig:
    """The generator's network."""

    group: ClassVar[str] = "game.generator"
    """Where it stands among the options, for messages."""
    kind: str = "lstm"
    """lstm, tied (LSTM layers whose output layer is the word vectors they read, as in ScratchGAN), relational (memory,
    as in RelGAN), transformer, or hf:PATH, the transformers model in the folder PATH: with
    weights it needs --data.tokenizer hf:PATH; with a config.json alone it starts from random ones."""
    embedding: int = 64
    """Width of the word embeddings (not of hf:PATH)."""
    frozen: int = 0
    """tied: numbers of a word's embedding, beside these, that are drawn once and never learn."""
    hidden: int = 128
    """lstm, tied: units. relational: width of a slot, over all heads. A transformer is as wide as its embeddings."""
    layers: int = 2
    """tied, transformer: layers."""
    heads: int = 4
    """transformer, relational: heads of the attention."""
    slots: int = 1
    """relational: slots of the memory."""
    dropout: float = 0.2
    """Dropout on embeddings and outputs while it learns by likelihood, in [0, 1)."""
    init_std: float | None = None
    """Standard deviation of all first weights of an lstm. None: torch's own initialisation."""

    def __post_init__(self) -> None:
        group = self.group
        if self.kind not in KINDS and not self.kind.startswith(PRETRAINED):
            raise UserError(f"{group}.kind is {self.kind!r}; it must be {', '.join(KINDS)} or {PRETRAINED}PATH")
        check_at_least(1, group, self, "embedding", "hidden", "layers", "heads", "slots")
        check_at_least(0, group, self, "frozen")
        check_share(group, self, "dropout")
        check_above_zero(group, self, "init_std")
        if self.kind == "relational" and self.hidden % self.heads:
            raise UserError(f"{group}.hidden is {self.hidden}; it must be divisible by heads, {self.heads}")
        if self.kind == "transformer" and self.embedding % self.heads:
            raise UserError(f"{group}.embedding is {self.embedding}; it must be divisible by heads, {self.heads}")


def text_generator(config: GeneratorConfig, spec: TextSpec, condition: int = 0) -> TextGenerator:
    """The generator that the config names, under a condition of so many numbers if that is not 0.

    Raises UserError for hf:PATH where there is no model that fits, and where a condition is needed.
    """
    if config.kind == "lstm":
        return LSTMGenerator(
            spec, config.embedding, config.hidden, config.dropout, config.init_std, condition=condition
        )
    if config.kind == "tied":
        return TiedLSTMGenerator(
            spec, config.embedding, config.frozen, config.hidden, config.layers, config.dropout, condition
        )
    if config.kind == "relational":
        head_size = config.hidden // config.heads
        return RelationalMemoryGenerator(
            spec, config.embedding, config.slots, config.heads, head_size, config.dropout, condition
        )
    if config.kind == "transformer":
        return TransformerGenerator(spec, config.embedding, config.layers, config.heads, config.dropout, condition)
    if condition:
        raise UserError(
            f"game.generator.kind is {config.kind!r}; this game's generator is under a condition: {', '.join(KINDS)}"
        )
    if spec.pad == NONE:
        raise UserError(f"game.generator.kind is {config.kind!r}; it needs sentences that end, not the oracle's")
    from textgan.networks.pretrained_text import PretrainedTextGenerator  # transformers takes seconds to import

    return PretrainedTextGenerator(spec, config.kind.removeprefix(PRETRAINED))
