"""A game of sentences, trained: draws, writes and scores them."""

from __future__ import annotations

import secrets
from itertools import cycle, islice

import torch
from torch import Tensor

from textgan.data.spec import LabelledSpec
from textgan.data.tokenizer import load_tokenizer
from textgan.errors import UserError
from textgan.evaluation.text import ROWS as LIKELIHOOD_ROWS
from textgan.evaluation.text import HasLikelihood
from textgan.inference import samples_of, values_of
from textgan.opened import Opened, check_sampling
from textgan.reproducibility import forked_rng
from textgan.run import Run

ROWS = 1000
"""Sentences drawn at once: bounds memory."""


class TextModel:
    """The networks of a run of a game of sentences, with its tokenizer."""

    def __init__(self, run: Run, opened: Opened) -> None:
        self.run = run
        self.name, self.settings, self.spec, self.game = opened
        self.tokenizer = load_tokenizer(run.tokenizer_file)

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the categories that sentences are generated for; none where the game knows none."""
        return self.spec.categories if isinstance(self.spec, LabelledSpec) else ()

    @property
    def has_density(self) -> bool:
        """Whether `log_prob` can be asked for."""
        return isinstance(self.game, HasLikelihood)

    def sample(
        self,
        n: int,
        temperature: float = 1.0,
        seed: int | None = None,
        detokenize: bool = False,
        category: str | None = None,
    ) -> list[str]:
        """`n` generated sentences.

        Args:
            temperature: above 0; below 1 the generator keeps to what it is sure of.
            seed: the same seed gives the same sentences. None: other ones every time.
            detokenize: as people write ("the end.") in place of tokens between spaces ("the end .").
            category: one of `categories`. None: each in turn, the i-th sentence of category i modulo K.

        Raises:
            UserError: `n`, the temperature or the seed is out of range, or there is no such category.
        """
        return self.write(self.sample_tokens(n, temperature, seed, category), detokenize)

    def write(self, tokens: Tensor, detokenize: bool = False) -> list[str]:
        """Token ids ``(n, T)`` as sentences."""
        write = self.tokenizer.detokenize if detokenize else self.tokenizer.decode
        return [write(ids) for ids in tokens.tolist()]

    def sample_tokens(
        self, n: int, temperature: float = 1.0, seed: int | None = None, category: str | None = None
    ) -> Tensor:
        """`n` generated sentences as token ids ``(n, T)``."""
        check_sampling(n, temperature, seed)
        options = {} if category is None else {"category": self._place(category)}
        together = max(len(self.categories), 1)
        with forked_rng(secrets.randbits(63) if seed is None else seed):
            return samples_of(self.game, n, rows=ROWS, together=together, temperature=temperature, **options)

    def categories_of(self, n: int, category: str | None = None) -> list[str]:
        """The categories of `n` sentences that `sample` gives; an empty list where the game knows none."""
        return [category] * n if category else list(islice(cycle(self.categories), n))

    def _place(self, category: str) -> int:
        if not self.categories:
            raise UserError(f"category is {category!r}, but {self.name} is played on sentences without categories")
        if category not in self.categories:
            raise UserError(f"category is {category!r}; it must be one of: {', '.join(self.categories)}")
        return self.categories.index(category)

    def log_prob(self, sentences: list[str]) -> list[float]:
        """Log-probability of each sentence in nats, its end mark included.

        Raises:
            UserError: the game has no density, or a sentence is empty or longer than the model's.
        """
        return self.token_log_prob(torch.stack([self._row(sentence) for sentence in sentences])) if sentences else []

    def token_log_prob(self, tokens: Tensor) -> list[float]:
        """Log-probability in nats of each sentence, given as token ids ``(n, T)``."""
        if not isinstance(self.game, HasLikelihood):
            raise UserError(f"{self.name} gives no probabilities to sentences")
        return values_of(self.game.log_probs, tokens, rows=LIKELIHOOD_ROWS).sum(1).tolist()

    def _row(self, sentence: str) -> Tensor:
        (ids,) = self.tokenizer.encode_batch([sentence])
        if self.spec.eos < 0:  # all sentences have one length
            least, most, ends = self.spec.length, self.spec.length, []
        else:
            least, most, ends = 1, self.spec.length - 1, [self.spec.eos]
        if not least <= len(ids) <= most:
            raise UserError(f"the sentence {sentence!r} has {len(ids)} tokens; it must have {least} to {most}")
        return torch.tensor([*ids, *ends, *[self.spec.pad] * (most - len(ids))])
