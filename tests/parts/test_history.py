"""What of the past is shown again, and how often."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from textgan.parts.history import History
from textgan.reproducibility import seed_everything


def _images(first: int, n: int) -> Tensor:
    """`n` images of one pixel, each a number of its own."""
    return torch.arange(first, first + n).float().view(n, 1, 1, 1)


def _full(size: int = 6) -> History:
    seed_everything(0)
    history = History(size, 1, 1, 1)
    history.by_chance(_images(0, size))
    return history


def test_while_it_is_being_filled_new_images_are_shown_and_kept():
    history = History(5, 1, 1, 1)
    for method, first in ((history.by_chance, 0), (history.by_halves, 2)):
        assert torch.equal(method(_images(first, 2)), _images(first, 2))
    assert history.held == 4
    assert history.items.flatten()[:4].tolist() == [0, 1, 2, 3]


def test_of_a_batch_for_which_there_is_not_room_the_first_images_are_kept():
    seed_everything(0)
    history = History(3, 1, 1, 1)
    shown = history.by_halves(_images(10, 8)).flatten().tolist()
    assert shown[:4] == [10, 11, 12, 13]
    assert set(shown[4:7]) == {10, 11, 12}, "three of the second half are exchanged, as many as there are"
    assert shown[7] == 17
    assert sorted(history.items.flatten().tolist()) == [14, 15, 16]


def test_when_it_is_full_an_image_is_exchanged_with_probability_a_half():
    history, exchanged = _full(), 0
    for step in range(1000):
        new = _images(100 + 2 * step, 2)
        exchanged += int((history.by_chance(new) != new).sum())
    assert exchanged / 2000 == pytest.approx(0.5, abs=0.04)


def test_what_is_shown_of_the_past_leaves_and_what_was_to_be_shown_takes_its_place():
    history = _full()
    before, new = set(history.items.flatten().tolist()), _images(50, 4)
    shown = history.by_halves(new).flatten().tolist()
    assert shown[:2] == [50, 51]
    assert set(shown[2:]) <= before
    assert len(set(shown[2:])) == 2
    assert set(history.items.flatten().tolist()) == (before - set(shown[2:])) | {52, 53}


def test_of_an_odd_number_of_images_the_larger_half_is_new():
    shown = _full().by_halves(_images(50, 5)).flatten()
    assert (shown >= 50).tolist() == [True, True, True, False, False]


def test_every_place_of_it_is_exchanged_equally_often():
    history, taken = _full(4), torch.zeros(4)
    for step in range(1200):
        before = history.items.flatten().clone()
        history.by_halves(_images(100 + 2 * step, 2))
        taken += history.items.flatten() != before
    assert torch.allclose(taken / 1200, torch.full((4,), 0.25), atol=0.05)


def test_no_gradient_goes_through_it():
    new = _images(50, 4).requires_grad_()
    assert not _full().by_chance(new).requires_grad


def test_a_checkpoint_holds_it_and_what_comes_depends_on_the_random_numbers_alone():
    one = _full()
    other = History(6, 1, 1, 1)
    other.load_state_dict(one.state_dict())
    for history in (one, other):
        seed_everything(5)
        history.shown = [history.by_chance(_images(20 + 3 * step, 3)) for step in range(5)]
    assert torch.equal(torch.cat(one.shown), torch.cat(other.shown))
    assert torch.equal(one.items, other.items)
