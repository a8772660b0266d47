"""Which generator of story endings: our recurrent one, or a `transformers` model."""

from __future__ import annotations

from dataclasses import dataclass

from textgan.data.spec import StorySpec
from textgan.errors import UserError, check_at_least, check_share
from textgan.networks.endings import StoryGenerator
from textgan.networks.seq2seq import Seq2Seq

PRETRAINED = "hf:"


@dataclass(frozen=True)
class WriterConfig:
    """The network that writes endings or answers."""

    kind: str = "lstm"
    """lstm: a recurrent encoder-decoder. hf:PATH: the transformers model in the folder PATH, of its own sizes."""
    embedding: int = 128
    """Width of the word embeddings, which encoder, decoder and output of the lstm share."""
    hidden: int = 256
    """Units of the LSTMs."""
    layers: int = 1
    """Layers of the lstm's encoder and decoder."""
    attention: bool = True
    """Let the lstm's decoder look at every word of the context."""
    copy: bool = True
    """Let it copy words of the context by its attention."""
    dropout: float = 0.3
    """Dropout on the lstm's embeddings, between its layers and before its output, in [0, 1)."""

    def __post_init__(self) -> None:
        check_at_least(1, "game.generator", self, "embedding", "hidden", "layers")
        check_share("game.generator", self, "dropout")

    def build(self, spec: StorySpec, lora: int = 0) -> StoryGenerator:
        """The network. With `lora` above 0 adapters of that rank are all that is learned of a transformers model.

        Raises UserError for another kind, and for adapters of what is no transformers model.
        """
        kind = self.kind
        if lora and not kind.startswith(PRETRAINED):
            raise UserError(f"game.lora is {lora}; it must be 0 where the generator is {kind}, not {PRETRAINED}PATH")
        if kind == "lstm":
            return Seq2Seq(spec, self.embedding, self.hidden, self.layers, self.dropout, self.attention, self.copy)
        if kind.startswith(PRETRAINED):
            from textgan.networks.pretrained import PretrainedGenerator  # transformers takes seconds to import

            return PretrainedGenerator(spec, kind.removeprefix(PRETRAINED), lora)
        raise UserError(
            f"game.generator.kind is {kind!r}; it must be lstm, or {PRETRAINED}PATH with the folder of a model"
        )
