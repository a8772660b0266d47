"""The discriminator of story endings: a word-level RNN reads each sentence, a sentence-level RNN reads the story.

The words of a sentence go through a bidirectional LSTM, whose largest outputs over the sentence are its vector; an LSTM
reads the vectors of the context and then that of the ending; its last output is the story's representation, and a
linear layer scores it (Li, Ding and Liu; COLING 2018, who do not say how a sentence becomes a vector).

With matching, the word-level RNN reads of the ending's words e_i also how they stand to the context's words x_j (Parikh
et al., 2016), and nothing of what is the same in both has to pass through the sentence vectors::

    a_i = sum_j softmax_j(s e_i x_j) x_j        e'_i = e_i + relu(M [e_i; a_i; e_i a_i; |e_i - a_i|])
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.spec import StorySpec
from textgan.networks.recurrent import BidirectionalLSTM, joined, lstm_step


class Read(NamedTuple):
    """What contexts amount to; one row a context on dimension 0."""

    h: Tensor
    c: Tensor
    """The sentence-level LSTM's state after the context ``(batch, hidden)``."""
    words: Tensor
    mask: Tensor
    """The context's tokens ``(batch, tokens)``, and where there are any."""

    def of(self, rows: Int[Tensor, " n"]) -> Read:
        """Those of the contexts with these numbers."""
        return Read(*(tensor[rows] for tensor in self))

    def times(self, n: int) -> Read:
        """Each context `n` times in a row."""
        return Read(*(tensor.repeat_interleave(n, 0) for tensor in self))


class HierarchicalDiscriminator(nn.Module):
    """A score of an ending after its context: the higher, the more real.

    `read` is what the context amounts to, computed once for all endings that are to be scored after it.
    """

    def __init__(
        self, spec: StorySpec, embedding: int, hidden: int, dropout: float = 0.0, matching: bool = True
    ) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = nn.Embedding(spec.vocab_size, embedding)
        self.match = nn.Linear(4 * embedding, embedding) if matching else None
        self.sharpness = nn.Parameter(torch.tensor(embedding**-0.5)) if matching else None
        self.words = BidirectionalLSTM(embedding, -(-hidden // 2), 1)
        self.sentences = nn.LSTM(self.words.size, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, 1)

    def train(self, mode: bool = True) -> HierarchicalDiscriminator:
        """Dropout's mode."""
        super().train(mode)
        self.sentences.train()
        return self

    def read(self, context: Int[Tensor, "batch sentences length"]) -> Read:
        """What the contexts amount to."""
        sentences = context.flatten(0, 1)
        vectors = self._vectors(sentences, self.embedding(sentences)).view(*context.shape[:2], -1)
        _, (h, c) = self.sentences(self.dropout(vectors))
        return Read(h[0], c[0], *joined(context, self.spec.pad))

    def forward(self, story: Read, ending: Int[Tensor, "batch length"]) -> Float[Tensor, " batch"]:
        """The score, a logit, of an ending after a context that `read` has read."""
        inputs = self.embedding(ending)
        if self.match is not None:
            inputs = inputs + self._matched(inputs, story)
        h, _ = lstm_step(self.sentences, self.dropout(self._vectors(ending, inputs)), (story.h, story.c))
        return self.output(self.dropout(h)).squeeze(1)

    def _matched(self, ending: Float[Tensor, "batch length embedding"], story: Read) -> Tensor:
        assert self.match is not None
        context = self.embedding(story.words)
        scores = self.sharpness * (ending @ context.transpose(1, 2))
        mask = story.mask | ~story.mask.any(1, keepdim=True)  # an empty context is its padding
        found = scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1) @ context
        sides = [ending, found, ending * found, (ending - found).abs()]
        return self.match(torch.cat(sides, -1)).relu()

    def _vectors(self, tokens: Int[Tensor, "rows length"], inputs: Tensor) -> Float[Tensor, "rows size"]:
        mask = tokens != self.spec.pad
        lengths = mask.sum(1).clamp(min=1)
        outputs = self.words(self.dropout(inputs), lengths)
        mask = mask | (torch.arange(tokens.shape[1], device=tokens.device) == 0)  # an empty sentence has its padding
        outputs = outputs.masked_fill(~mask[:, :, None], -torch.inf)
        return outputs.max(1).values if torch.is_grad_enabled() else outputs.amax(1)
