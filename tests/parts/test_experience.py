from __future__ import annotations

import pytest
import torch

from textgan.parts.experience import Experience


def filled(count: int, passes: int, part: int, size: int = 6) -> Experience:
    experience = Experience(size, {"tokens": (2,)}, {"worth": ()})
    rows = torch.arange(count)
    experience.fill(passes, part, tokens=torch.stack([rows, rows + 10], 1), worth=rows.float())
    return experience


@pytest.mark.parametrize(("count", "passes", "part"), [(6, 1, 2), (6, 3, 6), (4, 2, 2), (4, 1, 9)])
def test_every_row_is_taken_as_often_as_was_said(count: int, passes: int, part: int) -> None:
    experience, seen = filled(count, passes, part), []
    while not experience.is_spent:
        rows = experience.take(part)
        assert torch.equal(rows["tokens"], torch.stack([rows["worth"], rows["worth"] + 10], 1).long())
        seen += rows["worth"].int().tolist()
    assert sorted(seen) == sorted([*range(count)] * passes)


def test_what_is_drawn_does_not_count() -> None:
    experience = filled(4, 1, 4)
    assert [experience.draw(3)["worth"].tolist() for _ in range(2)] == [[0, 1, 2], [3, 0, 1]]
    assert not experience.is_spent
    assert Experience(4, {}, {"worth": ()}).is_spent


def test_new_rows_replace_all_that_were_there() -> None:
    experience = filled(6, 1, 6)
    experience.fill(1, 2, tokens=torch.full((2, 2), 7), worth=torch.zeros(2))
    assert experience.draw(6)["tokens"].tolist() == [[7, 7], [7, 7]]


def test_a_state_dict_holds_the_rows_and_the_place() -> None:
    experience, again = filled(6, 2, 2), Experience(6, {"tokens": (2,)}, {"worth": ()})
    experience.take(2)
    again.load_state_dict(experience.state_dict())
    for _ in range(5):
        assert torch.equal(again.take(2)["tokens"], experience.take(2)["tokens"])
    assert again.is_spent
