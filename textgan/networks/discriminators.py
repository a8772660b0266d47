"""Which discriminator of sentences: the networks there are to choose from, and their sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textgan.data.spec import TextSpec
from textgan.errors import UserError, check_at_least, check_fields, check_share
from textgan.networks.text_cnn import SEQGAN_FILTERS, TextCNN
from textgan.networks.text_discriminator import TextDiscriminator
from textgan.networks.text_rnn import TextRNN
from textgan.networks.transformer import TransformerDiscriminator


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The discriminator's network."""

    kind: Literal["cnn", "rnn", "multi", "transformer"] = "cnn"
    """cnn: filters over words and a highway layer (SeqGAN). multi: the same on many narrow embeddings, a vote each
    (RelGAN). rnn: an LSTM that reads from both sides. transformer: one that sees all words at once."""
    embedding: int = 64
    """Width of the word embeddings, in the case of multi of all together."""
    representations: int = 64
    """multi: narrow embeddings of a word, a divisor of embedding."""
    widths: tuple[int, ...] = tuple(SEQGAN_FILTERS)
    """cnn, multi: words that each of the filters sees."""
    filters: tuple[int, ...] = tuple(SEQGAN_FILTERS.values())
    """cnn, multi: number of filters of each width."""
    hidden: int = 64
    """rnn: units of each direction. A transformer is as wide as its embeddings."""
    layers: int = 2
    """rnn, transformer: layers."""
    heads: int = 4
    """transformer: heads of the attention."""
    dropout: float = 0.25
    """Dropout before the output, in [0, 1)."""

    def __post_init__(self) -> None:
        group = "game.discriminator"
        check_at_least(1, group, self, "embedding", "representations", "hidden", "layers", "heads")
        check_share(group, self, "dropout")
        check_fields(group, self, "numbers of at least 1", lambda n: n and min(n) >= 1, "widths", "filters")
        check_fields(group, self, f"one for each of {group}.widths", lambda n: len(n) == len(self.widths), "filters")
        if self.kind == "multi" and self.embedding % self.representations:
            raise UserError(
                f"{group}.embedding is {self.embedding}; it must be divisible by representations, "
                f"{self.representations}"
            )
        if self.kind == "transformer" and self.embedding % self.heads:
            raise UserError(f"{group}.embedding is {self.embedding}; it must be divisible by heads, {self.heads}")


def text_discriminator(config: DiscriminatorConfig, spec: TextSpec, outputs: int = 1) -> TextDiscriminator:
    """The discriminator that the config names, with one output or one a class."""
    if config.kind == "rnn":
        return TextRNN(spec, config.embedding, config.hidden, config.layers, config.dropout, outputs)
    if config.kind == "transformer":
        return TransformerDiscriminator(spec, config.embedding, config.layers, config.heads, config.dropout, outputs)
    representations = config.representations if config.kind == "multi" else 1
    return TextCNN(spec, config.widths, config.filters, config.embedding, config.dropout, outputs, representations)
