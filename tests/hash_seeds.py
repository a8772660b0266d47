"""Seeds of Python's hashes, which order its sets."""

from __future__ import annotations

import os


def other_hash_seed() -> str:
    """A value of ``PYTHONHASHSEED`` that is not this process's, which is random unless it was set."""
    return "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
