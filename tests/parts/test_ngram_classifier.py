from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

from textgan.data.spec import NONE, TextSpec
from textgan.errors import UserError
from textgan.parts.ngram_classifier import SUREST, ClassifierConfig, NgramClassifier, ngram_counts

KINDS = ("naive_bayes", "linear_svm", "logistic_regression", "random_forest")
TEXT = TextSpec(30, 9, train_size=0)
ORACLE = TextSpec(30, 9, train_size=0, bos=0, eos=NONE, pad=NONE, unk=NONE)
every_kind = pytest.mark.parametrize("kind", KINDS)


def sentences(n: int, seed: int, spec: TextSpec = TEXT, low: int = 4) -> torch.Tensor:
    """Of every length; their words begin at `low`."""
    tokens = torch.randint(low, 30, (n, 9), generator=torch.Generator().manual_seed(seed))
    if spec.pad != NONE:
        for row in range(n):
            tokens[row, 1 + row % 9 :] = spec.pad
    return tokens


def classifier(kind: str, spec: TextSpec = TEXT, **options) -> NgramClassifier:
    return NgramClassifier(ClassifierConfig(kind=kind, pool_size=60, ngrams=2, bits=12, **options), spec)


def fitted(kind: str, spec: TextSpec = TEXT) -> NgramClassifier:
    built = classifier(kind, spec)
    built.meet(sentences(60, 0, spec, low=10))
    built.fit(sentences(60, 1, spec))
    return built


@pytest.mark.parametrize("spec", [TEXT, ORACLE], ids=["text", "oracle"])
@pytest.mark.parametrize("longest", [1, 2, 3, 20])
def test_counts_are_those_of_scikit_learn_up_to_the_order_of_columns(spec, longest):
    tokens = sentences(40, 0, spec)
    tokens[1, :5] = 7  # an n-gram that comes more than once
    texts = [" ".join(str(token) for token in row if token != spec.pad) for row in tokens.tolist()]
    expected = CountVectorizer(token_pattern=r"\S+", ngram_range=(1, longest)).fit_transform(texts).toarray()
    found = ngram_counts(tokens.numpy(), spec.pad, longest, 24).tocsc()
    columns = found[:, np.unique(found.indices if found.format == "csr" else found.tocsr().indices)].toarray()
    assert sorted(map(tuple, columns.T)) == sorted(map(tuple, expected.T))


def test_few_places_are_shared_and_nothing_is_lost():
    tokens = sentences(40, 0)
    few, many = (ngram_counts(tokens.numpy(), 0, 3, bits) for bits in (2, 20))
    assert few.shape == (40, 4)
    assert (few.sum(1) == many.sum(1)).all()


def test_an_empty_sentence_has_no_counts():
    assert ngram_counts(np.zeros((2, 5), np.int64), 0, 3, 8).nnz == 0


@every_kind
@pytest.mark.parametrize("spec", [TEXT, ORACLE], ids=["text", "oracle"])
def test_it_learns_to_tell_real_from_fake(kind, spec):
    odds = fitted(kind, spec)(torch.cat([sentences(60, 2, spec, low=10), sentences(60, 3, spec, low=10) - 6]))
    assert odds.isfinite().all()
    assert (odds[:60] > 0).float().mean() > 0.8
    assert odds[:60].mean() > odds[60:].mean() + 0.3


def test_log_odds_are_scikit_learns():
    real, fake, asked = sentences(60, 0, low=10), sentences(60, 1), sentences(20, 2)
    counts = [ngram_counts(part.numpy(), 0, 2, 12) for part in (torch.cat([real, fake]), asked)]
    labels = [1] * 60 + [0] * 60
    bayes = MultinomialNB().fit(counts[0], labels).predict_log_proba(counts[1])
    assert fitted("naive_bayes")(asked).tolist() == pytest.approx((bayes[:, 1] - bayes[:, 0]).tolist(), rel=1e-5)
    p = LogisticRegression(max_iter=1000).fit(counts[0], labels).predict_proba(counts[1])[:, 1]
    assert fitted("logistic_regression")(asked).sigmoid().tolist() == pytest.approx(p.tolist(), rel=1e-5)


def test_a_forest_that_is_sure_is_not_infinitely_so():
    built = classifier("random_forest")
    built.meet(torch.full((60, 9), 5))
    built.fit(torch.full((60, 9), 6))
    odds = built(torch.tensor([[5] * 9, [6] * 9]))
    assert odds.tolist() == [SUREST, -SUREST]


def test_before_it_has_met_anybody_all_sentences_are_alike():
    built = classifier("naive_bayes")
    assert built(sentences(5, 0)).tolist() == [0.0] * 5
    built.fit(sentences(60, 1))
    assert built(sentences(5, 0)).tolist() == [0.0] * 5


def test_it_learns_from_as_many_fakes_as_it_has_met_real_sentences():
    built = classifier("naive_bayes")
    built.meet(sentences(7, 0))
    built.fit(sentences(60, 1))
    assert built.count == 7
    assert torch.equal(built.real[:7].long(), sentences(7, 0))
    assert torch.equal(built.fake[:7].long(), sentences(60, 1)[:7])


@every_kind
def test_a_checkpoint_holds_all_that_it_has_learned(kind):
    one, other, asked = fitted(kind), classifier(kind), sentences(30, 5)
    one.meet(sentences(20, 4))  # since the last fit: this must not count
    scores = one(asked)
    other.load_state_dict(one.state_dict())
    assert torch.equal(other(asked), scores)
    for built in (one, other):
        built.fit(sentences(60, 6))
    assert torch.equal(other(asked), one(asked))
    assert not torch.equal(one(asked), scores)


def test_going_back_to_an_older_state_forgets_what_came_after():
    built, asked = fitted("naive_bayes"), sentences(30, 5)
    before = {name: value.clone() for name, value in built.state_dict().items()}
    scores = built(asked)
    built.meet(sentences(30, 7))
    built.fit(sentences(60, 6))
    assert not torch.equal(built(asked), scores)
    built.load_state_dict(before)
    assert torch.equal(built(asked), scores)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ngrams": 0}, r"game\.classifier\.ngrams is 0; it must be at least 1"),
        ({"bits": 31}, r"game\.classifier\.bits is 31; it must be from 1 to 30"),
        ({"pool_size": 0}, r"game\.classifier\.pool_size is 0; it must be at least 1"),
    ],
)
def test_a_config_that_cannot_be_built_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        ClassifierConfig(**options)
