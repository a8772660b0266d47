"""Which images belong together, and precision at k against counting by hand."""

from __future__ import annotations

import pytest
import torch

from textgan.data.images.spec import LabelledImages
from textgan.parts.retrieval import mean_over, precision_at, relevant_pairs


def test_images_of_a_category_are_relevant_to_each_other_and_none_to_itself():
    image = torch.arange(5.0)[:, None, None, None].expand(-1, 1, 2, 2).clone()
    image[4] = image[0]  # the same image came by twice
    found = relevant_pairs(LabelledImages(image, torch.tensor([0, 1, 0, 1, 0])))
    assert {tuple(pair) for pair in found.nonzero().tolist()} == {(0, 2), (2, 0), (2, 4), (4, 2), (1, 3), (3, 1)}


def test_precision_is_the_share_of_relevant_ones_among_the_first_k():
    scores = torch.tensor([[0.9, 0.1, 0.8, 0.7], [0.1, 0.2, 0.3, 0.4], [4.0, 3.0, 2.0, 1.0]])
    relevant = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]]).bool()
    for k, by_hand in ((1, [1, 1]), (2, [1 / 2, 1 / 2]), (3, [2 / 3, 1 / 3]), (4, [3 / 4, 1 / 4])):
        assert precision_at(k, scores, relevant).item() == pytest.approx(sum(by_hand) / 2), k
    assert precision_at(9, scores, relevant) == precision_at(4, scores, relevant)
    assert precision_at(2, scores, torch.zeros_like(relevant)) == 0


def test_a_perfect_ranking_has_all_that_there_is_and_a_random_one_the_share_of_relevant_ones():
    torch.manual_seed(0)
    relevant = torch.rand(2000, 20) < 0.3
    assert precision_at(2, relevant.float(), relevant).item() == pytest.approx(1, abs=0.02)
    random = precision_at(5, torch.rand(relevant.shape), relevant)
    assert random.item() == pytest.approx(0.3, abs=0.02)


def test_a_mean_is_over_the_rows_that_are_named():
    values = torch.tensor([[1.0, 3.0], [10.0, 20.0], [5.0, 7.0]])
    assert mean_over(torch.tensor([True, False, True]), values) == 4
    assert mean_over(torch.tensor([False, False, False]), values) == 0
