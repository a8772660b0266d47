from __future__ import annotations

import pytest
import torch

from tests.policies import ENDING, FIXED, TablePolicy, sentences
from textgan.parts.categories import categories_of, conditions, mixture_log_probs


def test_categories_come_in_turn_or_one_alone():
    assert categories_of(7, 3, None, torch.device("cpu")).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert categories_of(3, 3, 2, torch.device("cpu")).tolist() == [2, 2, 2]


def test_a_condition_is_one_hot():
    assert conditions(torch.tensor([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize("spec", [FIXED, ENDING])
def test_a_sentence_has_the_mean_probability_of_the_categories(spec):
    world = sentences(spec)
    of_each = torch.stack([TablePolicy(spec, seed).log_probs(world) for seed in range(3)])
    found = mixture_log_probs(of_each)
    torch.testing.assert_close(found.sum(1).exp(), of_each.sum(2).exp().mean(0))
    assert found[world == spec.pad].abs().max() < 1e-12 if spec.pad >= 0 else True


def test_a_word_has_its_probability_given_the_words_before_it():
    world = sentences(ENDING)
    of_each = torch.stack([TablePolicy(ENDING, seed).log_probs(world) for seed in range(2)])
    whole = of_each.sum(2).exp().mean(0)
    found = mixture_log_probs(of_each)
    for row, log_p in zip(world, found, strict=True):
        for t in range(3):
            if row[t] != ENDING.pad:
                alike = [(world[:, :n] == row[:n]).all(1) for n in (t, t + 1)]
                conditional = whole[alike[1]].sum() / whole[alike[0]].sum()
                assert log_p[t].exp().item() == pytest.approx(conditional.item())
