"""Do sentences that were generated for a category belong to it? A classifier of real sentences is asked.

TF-IDF of single words and pairs and logistic regression: deterministic, seconds on a CPU, and hard to beat on short
sentences. It is wrong about real sentences too; its accuracy on held-out real ones belongs beside every other number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from textgan.errors import UserError
from textgan.metrics.base import Score, signature

WORD = r"\w+(?:['’\-]\w+)*|[^\w\s]"
"""A word of any length, or a mark of punctuation: "!" says something about a review."""
PENALTY = 10.0
"""scikit-learn's C: the inverse of the weight decay."""


class CategoryClassifier:
    """Learns categories from real sentences.

    Args:
        sentences: of the training split, as text.
        labels: the category of each.

    Raises:
        UserError: not as many labels as sentences, fewer than two categories, or no sentence with a word in it.
    """

    def __init__(self, sentences: Sequence[str], labels: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer  # takes a second
        from sklearn.linear_model import LogisticRegression

        _require_pairs(sentences, labels)
        self.categories: tuple[str, ...] = tuple(sorted(set(labels)))
        if len(self.categories) < 2:
            raise UserError(
                f"the sentences to learn from have {len(self.categories)} category; at least two are needed"
            )
        self._trained_on = len(sentences)
        self._features = TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True)
        try:
            found = self._features.fit_transform(sentences)
        except ValueError as error:
            raise UserError(f"none of the {len(sentences)} sentences to learn categories from has a word") from error
        self._model = LogisticRegression(C=PENALTY, max_iter=1000).fit(found, list(labels))

    def predict(self, sentences: Sequence[str]) -> list[str]:
        """The category that each sentence is most likely of."""
        return [str(label) for label in self._model.predict(self._features.transform(sentences))]

    def confusion(self, sentences: Sequence[str], labels: Sequence[str]) -> Int[np.ndarray, "categories categories"]:
        """How many sentences of category i (row) are taken for category j (column), in the order of `categories`.

        Raises:
            UserError: not as many labels as sentences, none at all, or a label that was not learned.
        """
        _require_pairs(sentences, labels)
        number = {name: i for i, name in enumerate(self.categories)}
        for strange in sorted(set(labels) - number.keys())[:1]:
            raise UserError(f"there is no category {strange!r} to learn from; there are: {', '.join(self.categories)}")
        matrix = np.zeros((len(number), len(number)), dtype=np.int64)
        for wanted, found in zip(labels, self.predict(sentences), strict=True):
            matrix[number[wanted], number[found]] += 1
        return matrix

    def scores(self, sentences: Sequence[str], labels: Sequence[str]) -> dict[str, Score]:
        """Share of the sentences that are taken for what they should be: of all, and of each category that has any.

        "category-accuracy", then "category-accuracy-<name>".

        Raises:
            UserError: see `confusion`.
        """
        matrix = self.confusion(sentences, labels)
        of_each = dict(zip(self.categories, zip(matrix.diagonal(), matrix.sum(1), strict=True), strict=True))
        counts = {"": (matrix.trace(), matrix.sum()), **{f"-{name}": pair for name, pair in of_each.items() if pair[1]}}
        classifier = {"classifier": "logistic-regression", "features": "tf-idf-1-2", "C": PENALTY}
        sizes = {"categories": len(self.categories), "train": self._trained_on}
        return {
            f"category-accuracy{name}": Score(
                float(right / n), signature(f"category-accuracy{name}", **classifier, **sizes, samples=int(n))
            )
            for name, (right, n) in counts.items()
        }


def category_scores(
    train: Sequence[str], train_labels: Sequence[str], sentences: Sequence[str], labels: Sequence[str]
) -> dict[str, Score]:
    """`CategoryClassifier.scores` of sentences with the categories they were generated for, or truly are of.

    Raises:
        UserError: see `CategoryClassifier`.
    """
    return CategoryClassifier(train, train_labels).scores(sentences, labels)


def _require_pairs(sentences: Sequence[str], labels: Sequence[str]) -> None:
    if len(sentences) != len(labels):
        raise UserError(f"there are {len(sentences)} sentences and {len(labels)} labels; accepted: a label a sentence")
    if len(sentences) == 0:
        raise UserError("there are no sentences (0) with a category; at least one is needed")
