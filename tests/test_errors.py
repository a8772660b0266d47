from __future__ import annotations

from types import SimpleNamespace

import pytest

from textgan.errors import UserError, check_above_zero, check_at_least, check_share


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (lambda config: check_at_least(1, "game", config, "x"), [1, 2, None], [0, -1]),
        (lambda config: check_above_zero("game", config, "x"), [1e-9, 5, None], [0, -1.0, float("inf"), float("nan")]),
        (lambda config: check_share("game", config, "x"), [0, 0.99, None], [1, -0.1, float("nan")]),
    ],
)
def test_values_out_of_range_are_named_with_what_is_accepted(check, good, bad):
    for value in good:
        check(SimpleNamespace(x=value))
    for value in bad:
        with pytest.raises(UserError, match=r"game\.x is .*; it must be "):
            check(SimpleNamespace(x=value))
