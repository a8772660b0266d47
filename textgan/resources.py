"""Files that come with textgan: corpus cards and presets."""

from __future__ import annotations

from pathlib import Path


def project_folder(name: str) -> Path:
    """``corpora`` or ``configs``: inside the package when it is installed, beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
