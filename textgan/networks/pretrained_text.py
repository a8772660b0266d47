"""Any `transformers` model as a generator of sentences: as of story endings, but with nothing before them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textgan.data.spec import StorySpec, TextSpec
from textgan.networks.pretrained import PretrainedGenerator, PretrainedPolicy, PretrainedState
from textgan.networks.text_generator import TextGenerator


class PretrainedTextGenerator(TextGenerator):
    """p(sentence) by the model in a local folder: see `PretrainedGenerator` for what is accepted there.

    A row of a state is good for the weights that `start` saw.
    """

    def __init__(self, spec: TextSpec, path: str | Path) -> None:
        super().__init__()
        self.spec = spec
        text = {field.name: getattr(spec, field.name) for field in fields(TextSpec)}
        self.network = PretrainedGenerator(StorySpec(**text, sentences=1, sentence_length=1), path)
        self.width = self.network.hidden_size
        self._policy: PretrainedPolicy | None = None

    def start(self, rows: int, condition: Float[Tensor, "rows size"] | None = None) -> PretrainedState:
        """The state after the begin mark."""
        self._policy = self._fresh(condition)
        return self._policy.start(rows)

    def advance(self, tokens: Int[Tensor, " rows"], state: PretrainedState) -> PretrainedState:
        """The state after one more token."""
        assert self._policy is not None
        return self._policy.advance(tokens, state)

    def logits(self, state: PretrainedState) -> Float[Tensor, "rows vocab"]:
        """Unnormalised log-probabilities of the next token."""
        return self.vocabulary(state.output)

    def outputs(
        self, tokens: Int[Tensor, "batch length"], condition: Float[Tensor, "batch size"] | None = None
    ) -> Float[Tensor, "batch length width"]:
        """The output before each token is read."""
        return self._fresh(condition).outputs(tokens)

    def vocabulary(self, outputs: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows vocab"]:
        """Logits of the next token from outputs."""
        return self.network.vocabulary(outputs.flatten(0, -2)).view(*outputs.shape[:-1], -1)

    def describe(self, folder: Path) -> None:
        """Writes the model's ``config.json``."""
        self.network.describe(folder)

    def _fresh(self, condition: Tensor | None) -> PretrainedPolicy:
        assert condition is None, "a transformers model takes no condition"
        nothing = torch.full((1, 1, 1), self.spec.pad, device=self.network.never.device)
        return self.network.given(nothing)
