"""The few images whose labels may be known."""

from __future__ import annotations

import torch

from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.parts.labelled_pool import LabelledPool

SPEC = ImageSpec(1, 2, 2, train_size=10, categories=("a", "b", "c"))


def _batch(*categories: int, first: int = 0) -> LabelledImages:
    """Images that are all one number: their place among all that come by."""
    numbers = torch.arange(first, first + len(categories)).float()
    return LabelledImages(numbers[:, None, None, None].expand(-1, 1, 2, 2), torch.tensor(categories))


def _held(pool: LabelledPool) -> list[list[float]]:
    return [images[:held, 0, 0, 0].tolist() for images, held in zip(pool.images, pool.held, strict=True)]


def test_it_takes_the_first_of_each_category_and_no_more():
    pool = LabelledPool(2, SPEC)
    pool.offer(_batch(1, 0, 1, 1, 0, 1))
    assert _held(pool) == [[1, 4], [0, 2], []]
    assert not pool.is_full
    pool.offer(_batch(2, 0, 1, 2, 2, first=6))
    assert _held(pool) == [[1, 4], [0, 2], [6, 9]]
    assert pool.is_full
    pool.offer(_batch(0, 1, 2, first=11))
    assert _held(pool) == [[1, 4], [0, 2], [6, 9]]


def test_it_goes_on_where_the_last_batch_left_room():
    pool = LabelledPool(3, SPEC)
    for first, categories in enumerate([(0,), (1,), (0,), (0,), (0,)]):
        pool.offer(_batch(*categories, first=first))
    assert _held(pool) == [[0, 2, 3], [1], []]


def test_it_is_the_same_in_parts():
    whole, parts = LabelledPool(2, SPEC), LabelledPool(2, SPEC)
    batch = _batch(0, 2, 2, 1, 0, 0, 2, 1)
    whole.offer(batch)
    for part in (slice(0, 3), slice(3, 8)):
        parts.offer(LabelledImages(batch.image[part], batch.category[part]))
    assert torch.equal(whole.images, parts.images)
    assert torch.equal(whole.held, parts.held)


def test_what_is_drawn_is_in_it_has_its_own_label_and_is_as_likely_as_any_other():
    torch.manual_seed(0)
    pool = LabelledPool(3, SPEC)
    pool.offer(_batch(0, 2, 2, 0, 2, 2, 0, 0))  # 0, 3, 6 are of category 0; 1, 2, 4 of category 2; none of 1
    drawn = pool.draw(6000)
    assert drawn.image.shape == (6000, 1, 2, 2)
    for number, category in ((0, 0), (3, 0), (6, 0), (1, 2), (2, 2), (4, 2)):
        found = drawn.image[:, 0, 0, 0] == number
        assert (drawn.category[found] == category).all()
        assert abs(found.float().mean().item() - 1 / 6) < 0.02


def test_some_are_different_ones_and_at_most_all():
    torch.manual_seed(0)
    pool = LabelledPool(3, SPEC)
    pool.offer(_batch(0, 2, 2, 0))
    whole = pool.some(9)
    assert sorted(zip(whole.image[:, 0, 0, 0].tolist(), whole.category.tolist(), strict=True)) == [
        (0, 0), (1, 2), (2, 2), (3, 0),
    ]  # fmt: skip
    pairs = [tuple(pool.some(2).image[:, 0, 0, 0].tolist()) for _ in range(600)]
    assert all(first != second for first, second in pairs)
    assert len(set(pairs)) == 12
    assert all(abs(pairs.count(pair) - 50) < 35 for pair in pairs)


def test_one_of_a_category_is_any_of_it():
    torch.manual_seed(0)
    pool = LabelledPool(3, SPEC)
    pool.offer(_batch(0, 2, 2, 0, 1))
    found = pool.one_of(torch.tensor([2, 0, 1]).repeat(300))[:, 0, 0, 0].view(300, 3)
    assert {tuple(sorted(set(column.tolist()))) for column in found.T} == {(1, 2), (0, 3), (4,)}
    assert abs((found[:, 0] == 1).float().mean().item() - 0.5) < 0.1


def test_a_checkpoint_holds_it():
    pool, other = LabelledPool(2, SPEC), LabelledPool(2, SPEC)
    pool.offer(_batch(0, 1, 2, 0))
    other.load_state_dict(pool.state_dict())
    assert _held(other) == [[0, 3], [1], [2]]
