"""Which generator of story endings: our recurrent one, or a `transformers` model."""

from __future__ import annotations

from textgan.data.spec import StorySpec
from textgan.errors import UserError
from textgan.networks.endings import StoryGenerator
from textgan.networks.seq2seq import Seq2Seq

PRETRAINED = "hf:"


def story_generator(
    kind: str, spec: StorySpec, embedding: int, hidden: int, layers: int, dropout: float, attention: bool, copy: bool
) -> StoryGenerator:
    """``"lstm"``, or ``"hf:PATH"``, the model in the local folder PATH, which has sizes of its own."""
    if kind == "lstm":
        return Seq2Seq(spec, embedding, hidden, layers, dropout, attention, copy)
    if kind.startswith(PRETRAINED):
        from textgan.networks.pretrained import PretrainedGenerator  # transformers takes seconds to import

        return PretrainedGenerator(spec, kind.removeprefix(PRETRAINED))
    raise UserError(f"game.generator is {kind!r}; it must be lstm, or {PRETRAINED}PATH with the folder of a model")
