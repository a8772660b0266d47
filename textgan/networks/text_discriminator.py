"""What a discriminator of sentences is, whatever it is made of: features of a sentence and a linear score of them."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from textgan.data.spec import NONE, TextSpec


class TextDiscriminator(nn.Module):
    """Scores of a sentence: logits, the higher the more real; or, with several `outputs`, one logit a class.

    A subclass defines `features_embedded`. Features may come as several votes a sentence ``(batch, votes, size)``, each
    of which is scored; a score is then their mean. Dropout acts on the features, in train mode only.
    """

    def __init__(self, spec: TextSpec, embedding: int, size: int, dropout: float = 0.0, outputs: int = 1) -> None:
        super().__init__()
        self.spec, self.size = spec, size
        self.embedding = nn.Embedding(spec.vocab_size, embedding)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(size, outputs)

    def features_embedded(
        self,
        inputs: Float[Tensor, "batch length embedding"],
        lengths: Int[Tensor, " batch"] | None = None,
        shared: int = 0,
        copies: int = 1,
    ) -> Float[Tensor, "batch *votes size"]:
        """Features of tokens given by embeddings or mixtures of them; what lies behind a row's length has no say.

        Lengths of None: all are full. For `shared` and `copies` see `forward`; a network may let them be.
        """
        raise NotImplementedError

    def forward(
        self, tokens: Int[Tensor, "batch length"], shared: int = 0, copies: int = 1
    ) -> Float[Tensor, "batch *outputs"]:
        """The score: one logit ``(batch,)``, or ``(batch, outputs)`` if there are several.

        `shared` and `copies` promise that every `copies` rows, from the first on, begin with the same `shared`
        tokens, and none ends among them, as roll-outs of one prefix do: what these give may be computed once.
        """
        return self.score(self.features(tokens, shared, copies))

    def score(self, features: Float[Tensor, "batch *votes size"]) -> Float[Tensor, "batch *outputs"]:
        """The score from features."""
        scores = self.output(self.dropout(features))
        if scores.dim() == 3:
            scores = scores.mean(1)
        return scores.squeeze(1) if self.output.out_features == 1 else scores

    def votes(self, features: Float[Tensor, "batch *votes size"]) -> Float[Tensor, "batch votes"]:
        """The logit of every vote, before they are averaged; one vote for most networks. For one output."""
        return self.output(self.dropout(features)).flatten(1)

    def features(
        self, tokens: Int[Tensor, "batch length"], shared: int = 0, copies: int = 1
    ) -> Float[Tensor, "batch *votes size"]:
        """What the score is made of, before dropout."""
        return self.features_embedded(self.embedding(tokens.clamp(min=0)), self.lengths(tokens), shared, copies)

    def features_relaxed(
        self, words: Float[Tensor, "batch length vocab"], lengths: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch *votes size"]:
        """`features` of distributions over tokens: each is read as the mean of the embeddings that it weighs."""
        return self.features_embedded(words @ self.embedding.weight, lengths)

    def lengths(self, tokens: Int[Tensor, "batch length"]) -> Int[Tensor, " batch"] | None:
        """Tokens of each sentence, the end mark counted; None where there is no padding."""
        return None if self.spec.pad == NONE else (tokens != self.spec.pad).sum(1)

    def output_penalty(self) -> Float[Tensor, ""]:
        """Half the sum of squares of the output layer's weight and bias."""
        return (self.output.weight.square().sum() + self.output.bias.square().sum()) / 2


def within(
    inputs: Float[Tensor, "batch length *rest"], lengths: Int[Tensor, " batch"] | None
) -> Bool[Tensor, "batch length 1"]:
    """Which places of `inputs` lie within their rows; all of them without `lengths`."""
    places = torch.arange(inputs.shape[1], device=inputs.device)
    ends = places.new_full((len(inputs),), inputs.shape[1]) if lengths is None else lengths
    return (places < ends[:, None])[:, :, None]
