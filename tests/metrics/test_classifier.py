"""The category classifier against scikit-learn's own numbers and sentences of which the answer is known."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix

from textgan.errors import UserError
from textgan.metrics.classifier import WORD, CategoryClassifier, category_scores


def reviews(n=60, seed=0):
    """Sentences of three categories, one sentence in five with words of another."""
    random = np.random.default_rng(seed)
    words = {
        "bad": ["awful", "dull", "poor"],
        "good": ["great", "fine", "lovely"],
        "so-so": ["fair", "average", "plain"],
    }
    labels = [list(words)[i % 3] for i in range(n)]
    said = [list(words)[random.integers(3)] if random.random() < 0.2 else label for label in labels]
    return [f"the film is {random.choice(words[name])} and {random.choice(words[name])} ." for name in said], labels


def test_accuracy_and_confusion_are_scikit_learns():
    train, test = reviews(120), reviews(60, seed=1)
    features = TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=1000).fit(features.fit_transform(train[0]), train[1])
    predicted = model.predict(features.transform(test[0]))

    classifier = CategoryClassifier(*train)
    assert classifier.categories == ("bad", "good", "so-so")
    matrix = confusion_matrix(test[1], predicted, labels=["bad", "good", "so-so"])
    assert classifier.confusion(*test).tolist() == matrix.tolist()
    scores = category_scores(*train, *test)
    assert scores["category-accuracy"].value == accuracy_score(test[1], predicted)
    assert 0.6 < scores["category-accuracy"].value < 1
    for i, name in enumerate(classifier.categories):
        assert scores[f"category-accuracy-{name}"].value == matrix[i, i] / 20


def test_scores_come_in_order_with_signatures_and_absent_categories_are_absent():
    sentences, labels = reviews(30)
    scores = category_scores(
        *reviews(60), [s for s, k in zip(sentences, labels, strict=True) if k != "good"][:7], ["bad"] * 7
    )
    assert list(scores) == ["category-accuracy", "category-accuracy-bad"]
    assert scores["category-accuracy-bad"].signature == (
        "category-accuracy-bad|classifier:logistic-regression|features:tf-idf-1-2|C:10.0|categories:3|train:60|samples:7"
        "|version:1"
    )
    everything = category_scores(*reviews(60), sentences, labels)
    assert list(everything) == ["category-accuracy", *(f"category-accuracy-{k}" for k in ("bad", "good", "so-so"))]


def test_words_of_one_letter_and_punctuation_are_words_and_case_is_not():
    train = ["I am !", "x !", "a ?", "B ?"] * 3
    assert CategoryClassifier(train, ["loud", "loud", "asks", "asks"] * 3).predict(["!", "?", "i", "b"]) == [
        "loud", "asks", "loud", "asks"
    ]  # fmt: skip


def test_pairs_of_words_are_seen():
    train = ["not good", "good not", "very good not bad", "very bad not good"] * 5
    labels = ["bad", "good", "good", "bad"] * 5
    assert CategoryClassifier(train, labels).predict(["not good", "not bad"]) == ["bad", "good"]


def test_an_empty_sentence_is_taken_for_something():
    assert CategoryClassifier(*reviews()).confusion(["", "zebra"], ["bad", "good"]).sum() == 2


def test_what_cannot_be_learned_or_asked_is_refused():
    train = reviews()
    with pytest.raises(UserError, match="there are 60 sentences and 59 labels"):
        CategoryClassifier(train[0], train[1][1:])
    with pytest.raises(UserError, match="have 1 category; at least two are needed"):
        CategoryClassifier(train[0], ["good"] * 60)
    with pytest.raises(UserError, match="there are no sentences"):
        CategoryClassifier([], [])
    with pytest.raises(UserError, match="none of the 2 sentences to learn categories from has a word"):
        CategoryClassifier(["", " "], ["a", "b"])
    with pytest.raises(UserError, match="there is no category 'great' to learn from; there are: bad, good, so-so"):
        category_scores(*train, ["fine"], ["great"])
