"""What a user may get wrong, as opposed to what we may have."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


class UserError(ValueError):
    """Input that cannot be used. One line: what it is, the value it has, what is accepted.

    Command lines print the message and exit with status 2.
    """


def check_fields(group: str, config: object, accepted: str, holds: Callable[[Any], bool], *names: str) -> None:
    """Refuse a config in which one of the fields `names` (None aside) is not what is `accepted`.

    Raises:
        UserError: naming the field, its value and what is accepted.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and not holds(value):
            raise UserError(f"{group}.{name} is {value!r}; it must be {accepted}")


def check_at_least(least: int, group: str, config: object, *names: str) -> None:
    """`check_fields` for numbers that have a least value."""
    check_fields(group, config, f"at least {least}", lambda value: value >= least, *names)


def check_above_zero(group: str, config: object, *names: str) -> None:
    """`check_fields` for finite numbers above 0."""
    check_fields(group, config, "above 0", lambda value: 0 < value < math.inf, *names)


def check_share(group: str, config: object, *names: str) -> None:
    """`check_fields` for shares that may be nothing but not all."""
    check_fields(group, config, "in [0, 1)", lambda value: 0 <= value < 1, *names)
