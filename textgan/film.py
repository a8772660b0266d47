"""Sheets of images, one after the other. Torch is not needed for it."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image

MOST_FRAMES = 40


def film(frames: Sequence[bytes], seconds: float = 0.4) -> bytes:
    """PNG files of one size as an animated GIF that begins again, each for so long and the last one for longer.

    Of more than 40 files as many, evenly spaced, the last among them.
    """
    n = min(len(frames), MOST_FRAMES)
    chosen = [frames[len(frames) - 1 - i * len(frames) // n] for i in reversed(range(n))]
    images = [Image.open(io.BytesIO(frame)).convert("P", palette=Image.Palette.ADAPTIVE) for frame in chosen]
    times = [int(1000 * seconds)] * (n - 1) + [int(5000 * seconds)]
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=times, loop=0)
    return buffer.getvalue()
