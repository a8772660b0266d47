"""Sentences, held against held-out sentences.

A game that gives log-probabilities is asked for those of the held-out sentences. Where the true density is known (the
oracle), so is that of every sample, and both Kullback-Leibler divergences are exact. At the end of a stage n-gram
models judge samples and real text by one another; where an encoder is chosen, both are compared as clouds of vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import cycle, islice
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from textgan.data.corpus import TextCorpus
from textgan.data.labelled import LabelledCorpus
from textgan.data.oracle import Oracle, OracleCorpus
from textgan.data.spec import TextSpec
from textgan.data.splits import sentence_hashes
from textgan.data.tokenizer import DecimalTokenizer
from textgan.errors import UserError
from textgan.evaluation.config import EvaluationConfig, Scores, plain
from textgan.evaluation.embedded import Embedded, spread
from textgan.game import Game
from textgan.inference import samples_of, values_of
from textgan.metrics import (
    KneserNey,
    Sentences,
    forward_perplexity,
    kl_both_ways,
    nll_per_token,
    novelty_of_hashes,
    perplexity,
    reverse_perplexity,
    text_scores,
)
from textgan.networks.sentence_encoder import SentenceEncoder
from textgan.processes import choose_device
from textgan.trainer import Measurement

ROWS = 256
"""Sentences whose log-probabilities are computed at once: bounds memory."""

WATCHED_SENTENCES = 2000
"""Held-out sentences whose likelihood is measured during training; at the end of a stage it is that of all."""


@runtime_checkable
class HasLikelihood(Protocol):
    """A text game with a tractable density."""

    def log_probs(self, tokens: Tensor, temperature: float = 1.0) -> Tensor: ...


@dataclass
class _Measured:
    """A measurement and the sample it was made of."""

    drawn: Tensor
    scores: Scores
    sweep: list[dict[str, Any]] = field(default_factory=list)


class TextEvaluation:
    """Measures text games against the held-out splits of a corpus."""

    def __init__(self, corpus: TextCorpus | OracleCorpus | LabelledCorpus, config: EvaluationConfig) -> None:
        self._corpus, self._config = corpus, config
        self._spec = corpus.spec
        self._train = corpus.train.hashes()
        self._valid = _sentences(corpus.valid.tokens(config.references), self._spec)
        self._test = _sentences(corpus.test.tokens(config.references), self._spec)
        self._references = {"valid": Sentences(self._valid), "test": Sentences(self._test)}
        self._embedded = None if config.encoder is None else self._opened(config.encoder)
        self._last: _Measured | None = None
        self._known: dict[tuple[str, int | None], Tensor] = {}

    def controls(self) -> dict[str, Scores]:
        """Scores that frame every table: real held-out sentences, and words drawn at random from real text."""
        real = spread(self._valid, self._config.final_samples)
        random = words_at_random(self._valid, real)
        tokenizer, oracle = self._corpus.tokenizer.signature, self._oracle
        return {
            name: text_scores(sentences, self._references["test"], tokenizer=tokenizer)
            | (_nll_oracle(oracle.log_prob(torch.tensor(sentences)), self._spec) if oracle is not None else {})
            | self._perplexities(sentences)
            | self._embedding_scores(sentences)
            for name, sentences in (("real", real), ("random", random))
        }

    def watched(self) -> dict[str, float]:
        """What real sentences score at the size of the samples drawn during training: the collapse watch's scale.

        Where too few are held out, sentences of the training split join them; a corpus that is smaller still is
        repeated, as a perfect generator would repeat it.
        """
        size = self._config.samples
        real = [*self._valid, *_sentences(self._corpus.train.tokens(size), self._spec)]
        scores = text_scores(list(islice(cycle(real), size)), tokenizer=self._corpus.tokenizer.signature)
        return {name: score.value for name, score in scores.items()}

    def measure(self, game: Game, ends_stage: bool) -> Measurement:
        """The validation scores of a sample; at the end of a stage the test scores and the tempered sweep too.

        The sample's seed is fixed (by the trainer): where it comes out as the one before, the generator has not moved
        since, as while a discriminator trains alone, and what was measured then still holds.
        """
        drawn = self.draw(game, self._config.samples)
        if self._last is None or not torch.equal(drawn, self._last.drawn):
            scores = self._scores(game, drawn, "valid", limit=WATCHED_SENTENCES)
            self._last = _Measured(drawn, scores)
        last = self._last
        records: list[dict[str, Any]] = [
            {"kind": "metrics", "scores": plain(last.scores)},
            {"kind": "samples", "sentences": self.shown(drawn)},
        ]
        if ends_stage:
            last.sweep = last.sweep or self._sweep(game)
            records += last.sweep
        return Measurement({name: score.value for name, score in last.scores.items()}, records)

    def draw(self, game: Game, n: int, temperature: float = 1.0) -> Tensor:
        """``(n, T)``: sentences of the game, to be measured."""
        return samples_of(game, n, temperature=temperature)

    def shown(self, drawn: Tensor) -> list[str]:
        """What was drawn, to be read."""
        return [self._corpus.tokenizer.decode(ids) for ids in _sentences(drawn, self._spec)]

    def _sweep(self, game: Game) -> list[dict[str, Any]]:
        swept = {}
        for t in sorted({1.0, *self._config.temperatures}):
            drawn = self.draw(game, self._config.final_samples, t)
            swept[t] = plain(self._scores(game, drawn, "test", t, embed=t == 1.0))
        return [
            {"kind": "test", "scores": swept[1.0]},
            *({"kind": "sweep", "temperature": t, "scores": swept[t]} for t in self._config.temperatures),
        ]

    def test_scores(self, game: Game, temperature: float = 1.0, samples: int | None = None) -> Scores:
        """Everything there is, of a sample drawn at `temperature`, against the whole test split."""
        drawn = self.draw(game, samples or self._config.final_samples, temperature)
        return self._scores(game, drawn, "test", temperature, embed=True)

    def _scores(
        self,
        game: Game,
        drawn: Tensor,
        split: str,
        temperature: float = 1.0,
        limit: int | None = None,
        embed: bool = False,
    ) -> Scores:
        """The scores of sentences that the game has drawn; likelihoods of the first `limit` sentences of the split.

        Against the test split they have perplexities as well and, if asked, the embedding metrics.
        """
        tokenizer = self._corpus.tokenizer.signature
        sentences = _sentences(drawn, self._spec)
        scores = text_scores(sentences, self._references[split], tokenizer=tokenizer)
        scores["novelty"] = novelty_of_hashes(sentence_hashes(drawn, self._spec.pad), self._train, tokenizer)
        oracle = self._oracle
        if oracle is not None:
            log_p = oracle.log_prob(drawn)
            scores |= _nll_oracle(log_p, self._spec)
        if isinstance(game, HasLikelihood):
            limit = limit or self._config.references
            real = getattr(self._corpus, split).tokens(limit)
            log_probs = values_of(game.log_probs, real, rows=ROWS, temperature=temperature)
            nll = f"nll-{split}"
            scores[nll] = nll_per_token(log_probs, real != self._spec.pad, nll)
            scores[f"ppl-{split}"] = perplexity(scores[nll])
            if oracle is not None:  # both densities are known: both divergences are exact but for the sample
                scores |= kl_both_ways(
                    log_p_x=self._oracle_on(split, limit),
                    log_q_x=log_probs.sum(1),
                    log_p_y=log_p,
                    log_q_y=values_of(game.log_probs, drawn, rows=ROWS, temperature=temperature).sum(1),
                    length=self._spec.length,
                )
        if split == "test":
            scores |= self._perplexities(sentences)
        if embed:
            scores |= self._embedding_scores(sentences)
        return {name: score.stamped(temperature=temperature) for name, score in scores.items()}

    def _perplexities(self, sentences: list[list[int]]) -> Scores:
        """Perplexities of n-gram models: of one of these sentences on the test split, of one of real text on these."""
        tokenizer = self._corpus.tokenizer.signature
        words = self._spec.vocab_size
        return {
            "reverse-ppl": reverse_perplexity(sentences, self._test, words, tokenizer=tokenizer),
            "forward-ppl": forward_perplexity(self._model_of_train, sentences, tokenizer),
        }

    @cached_property
    def _model_of_train(self) -> KneserNey:
        train = _sentences(self._corpus.train.tokens(self._config.references), self._spec)
        return KneserNey(train, self._spec.vocab_size)

    def _embedding_scores(self, sentences: list[list[int]]) -> Scores:
        """The embedding metrics, where an encoder was chosen."""
        return {} if self._embedded is None else self._embedded.scores(self._texts(sentences))

    def _opened(self, encoder: str) -> Embedded:
        if isinstance(self._corpus.tokenizer, DecimalTokenizer):
            raise UserError(
                f"evaluation.encoder is {encoder!r}, but the sentences of {self._corpus.name} are numbers; "
                "it must be None, as an encoder reads words"
            )
        opened = SentenceEncoder(encoder, choose_device("auto"))
        return Embedded(opened, self._texts(self._test), self._config.embedded)

    def _texts(self, sentences: list[list[int]]) -> list[str]:
        """As people write them, the real ones like the generated ones: from their tokens."""
        return [self._corpus.tokenizer.detokenize(ids) for ids in sentences]

    @property
    def _oracle(self) -> Oracle | None:
        """The true density, where it is known."""
        return self._corpus.oracle if isinstance(self._corpus, OracleCorpus) else None

    def _oracle_on(self, split: str, limit: int | None) -> Tensor:
        """log p of the first sentences of a split under the oracle that they are from; computed once."""
        if (split, limit) not in self._known:
            assert self._oracle is not None
            self._known[split, limit] = self._oracle.log_prob(getattr(self._corpus, split).tokens(limit))
        return self._known[split, limit]


def words_at_random(sentences: Sequence[Sequence[int]], like: Sequence[Sequence[int]]) -> list[list[int]]:
    """As many sentences as `like`, each as long, of words drawn from `sentences`: none twice, always the same."""
    words = torch.tensor([word for sentence in sentences for word in sentence])
    shuffled = iter(words[torch.randperm(len(words), generator=torch.Generator().manual_seed(0))].tolist())
    return [[next(shuffled) for _ in sentence] for sentence in like]


def _nll_oracle(log_p: Tensor, spec: TextSpec) -> Scores:
    """NLL_oracle of sentences of the oracle's length, from their log-probabilities under it."""
    per_token = log_p[:, None] / spec.length
    return {"nll-oracle": nll_per_token(per_token, torch.ones_like(per_token, dtype=torch.bool), "nll-oracle")}


def _sentences(tokens: Tensor, spec: TextSpec) -> list[list[int]]:
    """Rows of token ids ``(n, T)`` without end marks and padding."""
    lengths = ((tokens != spec.pad) & (tokens != spec.eos)).sum(1).tolist()
    return [row[:length] for row, length in zip(tokens.tolist(), lengths, strict=True)]
