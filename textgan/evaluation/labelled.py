"""Sentences of categories: everything that is measured of sentences, and what a classifier takes them for.

A sample that is held against held-out sentences has their categories in the proportions of real text, so that the text
alone is compared. A sample that the classifier is shown has as many of each, so that chance is 1/K.
"""

from __future__ import annotations

from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from textgan.data.labelled import LabelledCorpus
from textgan.evaluation.config import EvaluationConfig, Scores
from textgan.evaluation.text import TextEvaluation, words_at_random
from textgan.game import Game
from textgan.inference import samples_of
from textgan.metrics.classifier import CategoryClassifier

LEARNED_FROM = 20_000
"""Training sentences, at most, that the classifier learns from: a few seconds."""

ACCURACY = "category-accuracy"


class LabelledEvaluation(TextEvaluation):
    """Measures games that generate sentences for a category."""

    def __init__(self, corpus: LabelledCorpus, config: EvaluationConfig) -> None:
        super().__init__(corpus, config)
        self._labelled = corpus

    def controls(self) -> dict[str, Scores]:
        """Those of sentences, and the classifier's accuracy on real held-out ones, its floor, and on random words.

        A category's accuracy is that on all its sentences; that of all is on as many of each.
        """
        found = super().controls()
        category = self._labelled.test.categories(self._config.references)
        equal = as_many_of_each(category)
        alike = [self._test[i] for i in equal.tolist()]
        on_all = self._classifier.scores(self._texts(self._test), self._names(category))
        on_equal = self._classifier.scores(self._texts(alike), self._names(category[equal]))
        random = self._texts(words_at_random(self._test, alike))
        found["real"] |= on_all | {ACCURACY: on_equal[ACCURACY]}
        found["random"] |= self._classifier.scores(random, self._names(category[equal]))
        return found

    def draw(self, game: Game, n: int, temperature: float = 1.0) -> Tensor:
        """``(n, T)``: the i-th sentence has the category of the i-th one of the training split."""
        wanted = self._wanted(n)
        parts = [
            samples_of(game, count, temperature=temperature, category=category)
            for category, count in enumerate(torch.bincount(wanted).tolist())
            if count
        ]
        return torch.cat(parts)[wanted.argsort(stable=True).argsort()]

    def shown(self, drawn: Tensor) -> list[str]:
        """What was drawn, to be read: "positive: a good film"."""
        pairs = zip(self._names(self._wanted(len(drawn))), super().shown(drawn), strict=True)
        return [f"{name}: {sentence}" for name, sentence in pairs]

    def _scores(
        self,
        game: Game,
        drawn: Tensor,
        split: str,
        temperature: float = 1.0,
        limit: int | None = None,
        embed: bool = False,
    ) -> Scores:
        """Those of sentences, and the classifier's accuracy on as many more, of each category in turn."""
        scores = super()._scores(game, drawn, split, temperature, limit, embed)
        k = len(self._labelled.spec.categories)
        in_turn = samples_of(game, len(drawn), together=k, temperature=temperature)
        category = torch.arange(len(drawn)) % k
        texts = [self._labelled.tokenizer.detokenize(ids) for ids in in_turn.tolist()]
        accuracy = self._classifier.scores(texts, self._names(category))
        return scores | {name: score.stamped(temperature=temperature) for name, score in accuracy.items()}

    @cached_property
    def _classifier(self) -> CategoryClassifier:
        train = self._labelled.train
        texts = [self._labelled.tokenizer.detokenize(ids) for ids in train.tokens(LEARNED_FROM).tolist()]
        return CategoryClassifier(texts, self._names(train.categories(LEARNED_FROM)))

    def _wanted(self, n: int) -> Int[Tensor, " n"]:
        category = self._labelled.train.categories(n)
        return category[torch.arange(n) % len(category)]

    def _names(self, category: Int[Tensor, " n"]) -> list[str]:
        return [self._labelled.spec.categories[k] for k in category.tolist()]


def as_many_of_each(category: Int[Tensor, " n"]) -> Int[Tensor, " m"]:
    """Positions of the first sentences of each category, as many as the rarest one has."""
    m = int(torch.bincount(category).min())
    return torch.cat([(category == k).nonzero().squeeze(1)[:m] for k in range(int(category.max()) + 1)])
