"""Prepared data on disk: made once, found again by what it was made from, rebuilt when it was spoiled."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from textgan.errors import UserError

MANIFEST = "manifest.json"


def cache_root() -> Path:
    """``TEXTGAN_CACHE`` if that is set, else ``textgan`` in the user's cache folder."""
    if given := os.environ.get("TEXTGAN_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "textgan"


@contextmanager
def temporary_cache() -> Iterator[None]:
    """Inside, prepared data goes to a folder that is gone afterwards."""
    former = os.environ.get("TEXTGAN_CACHE")
    with TemporaryDirectory() as folder:
        os.environ["TEXTGAN_CACHE"] = folder
        try:
            yield
        finally:
            if former is None:
                del os.environ["TEXTGAN_CACHE"]
            else:
                os.environ["TEXTGAN_CACHE"] = former


def cached(identity: object, make: Callable[[Path], None]) -> Path:
    """The folder that `make` wrote for this `identity` (plain values), now or at an earlier call.

    `make` fills an empty folder beside the final one, which is then moved into place in one step, so that no one ever
    sees half of it and two processes may do this at once. A manifest of SHA-256 sums tells a spoiled folder, which is
    made again. Raises UserError if the cache folder cannot be written.
    """
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
    folder = cache_root() / "corpora" / key
    if is_sound(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = TemporaryDirectory(prefix=f".{key}-", dir=folder.parent)
    except OSError as error:
        raise UserError(
            f"cache folder {folder.parent} cannot be written ({error.strerror}): set TEXTGAN_CACHE to one that can"
        ) from error
    with work as name:
        made = Path(name) / "made"
        made.mkdir()
        make(made)
        sums = {file.name: _sha256(file) for file in sorted(made.iterdir())}
        (made / MANIFEST).write_text(json.dumps(sums, indent=1) + "\n", encoding="utf-8")
        if folder.exists() and not is_sound(folder):
            folder.replace(Path(name) / "spoiled")
        try:
            made.replace(folder)
        except OSError:  # another process was quicker
            if not is_sound(folder):
                raise
    return folder


def is_sound(folder: Path) -> bool:
    """Whether every file that the folder's manifest names is there with the SHA-256 that it names."""
    try:
        sums = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return all(_sha256(folder / name) == digest for name, digest in sums.items())
    except (OSError, ValueError, AttributeError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
