"""Which network scores an answer to a prompt, or an ending of a story: one number, the higher the better."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.spec import StorySpec
from textgan.errors import UserError, check_above_zero, check_at_least, check_share
from textgan.networks.hierarchical import HierarchicalDiscriminator

PRETRAINED = "hf:"


@dataclass(frozen=True)
class ScorerConfig:
    """The discriminator's network."""

    kind: str = "hierarchical"
    """hierarchical: recurrent networks over words and over sentences. hf:PATH: the transformers model in the folder
    PATH that writes from left to right, with a linear score of its last output; it reads the generator's tokens."""
    embedding: int = 64
    """hierarchical: width of the word embeddings."""
    hidden: int = 128
    """hierarchical: units of the LSTMs."""
    matching: bool = True
    """hierarchical: hold every word of the answer against the words of the prompt."""
    dropout: float = 0.1
    """hierarchical: dropout on embeddings, sentence vectors and representation, in [0, 1)."""
    lora: int = 0
    """hf:PATH: rank of its adapters, which are learned beside the linear score. 0: all its weights are."""
    learning_rate: float = 1e-3
    """Adam's step size."""

    def __post_init__(self) -> None:
        group = "game.discriminator"
        if self.kind != "hierarchical" and not self.kind.startswith(PRETRAINED):
            raise UserError(f"{group}.kind is {self.kind!r}; it must be hierarchical or {PRETRAINED}PATH")
        if self.lora and not self.kind.startswith(PRETRAINED):
            raise UserError(f"{group}.lora is {self.lora}; it must be 0 where kind is {self.kind}")
        check_at_least(1, group, self, "embedding", "hidden")
        check_at_least(0, group, self, "lora")
        check_above_zero(group, self, "learning_rate")
        check_share(group, self, "dropout")


class AnswerScorer(nn.Module):
    """A score of each answer after its prompt. It has no bias, which no comparison of two answers would see."""

    def forward(
        self, context: Int[Tensor, "batch sentences length"], answers: Int[Tensor, "rows words"]
    ) -> Float[Tensor, " rows"]:
        """The scores of answers of which there are rows / batch to each context in turn."""
        raise NotImplementedError

    def learned(self) -> list[nn.Parameter]:
        """What its player may change."""
        return list(self.parameters())

    def describe(self, folder: Path) -> None:
        """Write into `folder` what it takes to build the network beside its config and weights: nothing, mostly."""


def answer_scorer(config: ScorerConfig, spec: StorySpec) -> AnswerScorer:
    """The network that the config names. Raises UserError for hf:PATH where there is no model that fits."""
    return RecurrentScorer(config, spec) if config.kind == "hierarchical" else PretrainedScorer(config, spec)


class RecurrentScorer(AnswerScorer):
    """The hierarchical discriminator of story endings."""

    def __init__(self, config: ScorerConfig, spec: StorySpec) -> None:
        super().__init__()
        self.network = HierarchicalDiscriminator(spec, config.embedding, config.hidden, config.dropout, config.matching)
        self.network.output = nn.Linear(config.hidden, 1, bias=False)

    def forward(
        self, context: Int[Tensor, "batch sentences length"], answers: Int[Tensor, "rows words"]
    ) -> Float[Tensor, " rows"]:
        """The scores of answers of which there are rows / batch to each context in turn."""
        return self.network(self.network.read(context).times(len(answers) // len(context)), answers)


class PretrainedScorer(AnswerScorer):
    """A `transformers` model and a linear layer on its output after the answer's last token."""

    def __init__(self, config: ScorerConfig, spec: StorySpec) -> None:
        super().__init__()
        from textgan.networks.pretrained import PretrainedGenerator  # transformers takes seconds to import

        self.network = PretrainedGenerator(spec, config.kind.removeprefix(PRETRAINED), config.lora)
        self.score = nn.Linear(self.network.hidden_size, 1, bias=False)

    def forward(
        self, context: Int[Tensor, "batch sentences length"], answers: Int[Tensor, "rows words"]
    ) -> Float[Tensor, " rows"]:
        """The scores of answers of which there are rows / batch to each context in turn."""
        pad = self.network.spec.pad
        outputs = self.network.given(context).outputs(F.pad(answers, (0, 1), value=pad))  # before each, and at the end
        last = outputs[torch.arange(len(answers), device=answers.device), (answers != pad).sum(1)]
        return self.score(last).squeeze(1)

    def learned(self) -> list[nn.Parameter]:
        """The score's parameters and the model's, without an output layer that nothing else shares."""
        model = self.network.model
        words, shared = model.get_output_embeddings().weight, model.get_input_embeddings().weight
        learned = [p for p in self.network.learned() if p is not words or words is shared]
        return [*learned, *self.score.parameters()]

    def describe(self, folder: Path) -> None:
        """Write what the model needs."""
        self.network.describe(folder)
