"""What a user may get wrong, as opposed to what we may have."""


class UserError(ValueError):
    """Input that cannot be used. One line: what it is, the value it has, what is accepted.

    Command lines print the message and exit with status 2.
    """
