"""Likelihood scores against closed forms of distributions that are enumerated."""

import math
from itertools import product

import pytest
import torch

from textgan.errors import UserError
from textgan.metrics.likelihood import kl_both_ways, nll_per_token

P = torch.tensor([0.5, 0.25, 0.25])
Q = torch.tensor([0.25, 0.25, 0.5])
LENGTH = 2


def all_sentences_of(word_probabilities):
    """Every sentence of two words, as often (of 16 times) as it is likely: sample means are expectations."""
    sentences = []
    for first, second in product(range(3), repeat=LENGTH):
        times = round(16 * float(word_probabilities[first] * word_probabilities[second]))
        sentences += [[first, second]] * times
    return torch.tensor(sentences)


def kls():
    x, y = all_sentences_of(P), all_sentences_of(Q)
    return kl_both_ways(*(words.log()[s].sum(dim=1) for s in (x, y) for words in (P, Q)), length=LENGTH)


def test_kl_equals_the_closed_form_both_ways():
    scores = kls()
    assert scores["kl-oracle-model"].value == pytest.approx(float((P * (P / Q).log()).sum()), abs=1e-7)
    assert scores["kl-model-oracle"].value == pytest.approx(float((Q * (Q / P).log()).sum()), abs=1e-7)
    assert scores["kl-oracle-model"].signature == "kl-oracle-model|unit:nats/token|samples:16|length:2|version:1"


def test_kl_is_not_symmetric_and_the_sides_are_not_exchanged():
    p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.75, 0.25])
    x, y = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 0, 1])
    scores = kl_both_ways(p.log()[x], q.log()[x], p.log()[y], q.log()[y], length=1)
    assert scores["kl-oracle-model"].value == pytest.approx(0.5 * math.log(4 / 3), abs=1e-7)
    assert scores["kl-model-oracle"].value == pytest.approx(0.75 * math.log(3) - math.log(2), abs=1e-7)


def test_standard_error_is_that_of_the_mean_per_token():
    # log p/q of a word is ±log 2 or 0, with variance (P: .5 log²2 + .25 log²2 - mean²); two words a sentence
    variance = 0.75 * math.log(2) ** 2 - (0.25 * math.log(2)) ** 2
    expected = math.sqrt(2 * variance * 16 / 15 / 16) / LENGTH
    assert kls()["kl-oracle-model-error"].value == pytest.approx(expected, abs=1e-7)


def test_kl_of_a_model_with_itself_is_exactly_0():
    log_probs = torch.tensor([-1.0, -2.0, -3.0])
    scores = kl_both_ways(log_probs, log_probs, log_probs, log_probs, length=20)
    assert {score.value for score in scores.values()} == {0.0}


def test_kl_is_infinite_where_the_model_misses_a_sentence():
    log_q_x = torch.tensor([-1.0, -math.inf])
    scores = kl_both_ways(torch.tensor([-1.0, -1.0]), log_q_x, torch.zeros(2), torch.zeros(2), length=1)
    assert scores["kl-oracle-model"].value == math.inf
    assert scores["kl-model-oracle"].value == 0


def test_kl_needs_two_samples():
    one = torch.zeros(1)
    with pytest.raises(UserError, match=r"\(=1\) for kl-oracle-model must be at least 2"):
        kl_both_ways(one, one, one, one, length=1)


def test_nll_is_total_over_tokens_not_the_mean_of_sentence_means():
    log_probs = -torch.tensor([[1.0, 2.0, 3.0], [10.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    assert nll_per_token(log_probs, mask).value == 16 / 4
    assert nll_per_token(log_probs, mask, "nll-oracle").signature == (
        "nll-oracle|unit:nats/token|sentences:2|tokens:4|version:1"
    )


def test_nll_of_the_oracles_own_sentences_is_its_entropy():
    log_probs = P.log()[all_sentences_of(P)]
    score = nll_per_token(log_probs, torch.ones_like(log_probs, dtype=torch.bool))
    assert score.value == pytest.approx(1.5 * math.log(2), abs=1e-7)


def test_what_stands_in_the_padding_is_not_looked_at():
    log_probs = torch.tensor([[-1.0, -math.inf, math.nan]])
    assert nll_per_token(log_probs, torch.tensor([[True, False, False]])).value == 1


def test_nll_without_a_token_is_refused():
    with pytest.raises(UserError, match="there are no tokens"):
        nll_per_token(torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.bool))
