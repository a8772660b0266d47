from __future__ import annotations

import pytest

from textgan.game import Act, Loss, Move, Place, Stage, walk


def _move(times: int = 1, every: int = 1) -> Move:
    return Move("player", lambda batch, turn: Loss({}), times=times, every=every)


PLAN = [
    Stage("one", 2, [_move(times=3)]),
    Stage("nothing", 0, [_move()]),
    Stage("two", 3, [Act(lambda turn: None), _move(times=2, every=2), _move()]),
]


def test_the_walk_makes_every_step_in_order():
    steps = list(walk(PLAN))
    assert steps[:6] == [Place(0, r, 0, k) for r in range(2) for k in range(3)]
    assert steps[6:] == [
        Place(2, 0, 0, 0), Place(2, 0, 1, 0), Place(2, 0, 1, 1), Place(2, 0, 2, 0),
        Place(2, 1, 0, 0), Place(2, 1, 2, 0),
        Place(2, 2, 0, 0), Place(2, 2, 1, 0), Place(2, 2, 1, 1), Place(2, 2, 2, 0),
    ]  # fmt: skip


@pytest.mark.parametrize("done", range(17))
def test_a_walk_from_any_place_is_the_rest_of_the_whole_walk(done):
    steps = list(walk(PLAN))
    start = steps[done] if done < len(steps) else Place(stage=len(PLAN))
    assert list(walk(PLAN, start)) == steps[done:]


def test_a_stage_counts_the_steps_that_the_walk_makes():
    assert sum(stage.steps for stage in PLAN) == len(list(walk(PLAN))) == 16
