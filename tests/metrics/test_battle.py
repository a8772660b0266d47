from __future__ import annotations

import math

import numpy as np
import pytest

from textgan.errors import UserError
from textgan.metrics.battle import Side, battle


def _side(real_errors: int, fake_errors: int, n: int = 10) -> Side:
    """Errs on so many of `n` real samples and of `n` fakes; a score of exactly 0 does not call a sample real."""
    real = np.where(np.arange(n) < real_errors, 0.0, 0.7)
    return Side(real, np.where(np.arange(n) < fake_errors, 2.0, -0.1))


def _values(*arguments, **options) -> tuple[float, float, float]:
    scores = battle(*arguments, **options)
    return tuple(scores[f"battle-{name}"].value for name in ("test", "samples", "winner"))


def test_the_ratios_are_those_of_error_rates():
    assert _values(_side(4, 2), _side(5, 8)) == (0.8, 0.25, 1)


def test_who_deceives_the_other_more_wins_and_the_sides_can_be_exchanged():
    assert _values(_side(5, 8), _side(4, 2)) == (1.25, 4.0, 2)


@pytest.mark.parametrize(("errors", "winner"), [((4, 5), 1), ((3, 5), 0), ((5, 3), 0), ((5, 4), 1)])
def test_the_battle_counts_only_where_both_know_real_samples_equally_well(errors, winner):
    first, second = (_side(real, fake) for real, fake in zip(errors, (1, 6), strict=True))
    assert _values(first, second)[2] == winner
    assert _values(first, second, tolerance=1.0)[2] == 1


def test_equal_errors_are_a_tie():
    assert _values(_side(4, 3), _side(4, 3)) == (1, 1, 0)


def test_a_side_without_errors_has_a_ratio_too():
    assert _values(_side(0, 0), _side(0, 0)) == (1, 1, 0)
    assert _values(_side(0, 3), _side(0, 0)) == (1, math.inf, 2)
    assert _values(_side(2, 0), _side(0, 3)) == (math.inf, 0, 0)


def test_sides_may_draw_other_many_samples():
    few = Side(np.array([1.0, -1.0]), np.array([1.0, -1.0, -1.0, -1.0]))
    assert _values(few, _side(5, 5)) == (1, 0.5, 1)
    assert "real:2|samples:4" in battle(few, _side(5, 5))["battle-samples"].signature


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(UserError, match=r"there are no scores \(0\) of fakes; at least one is needed"):
        Side(np.ones(2), np.ones(0))
    with pytest.raises(UserError, match=r"tolerance is -1\.0; it must be at least 0"):
        battle(_side(1, 1), _side(1, 1), tolerance=-1.0)
