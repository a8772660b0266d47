"""What a process of ours asks of the C library, once, at its start."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's `mallopt`."""

LARGEST_KEPT = 2**27
"""Bytes of the largest tensor whose memory is kept: the logits of 1,280 words of 20,000, say, which then take half the
time to learn from. What is kept but does not fit what is asked for next is lost memory: the larger, the more."""


def keep_freed_memory() -> None:
    """Let glibc keep the memory that tensors have freed for the tensors of the next step.

    By default it goes back to the system and is zeroed page by page when it is asked for again, which costs more than
    half of a likelihood step on a CPU. Where there is no glibc nothing is done.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        if not mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT):
            mallopt(M_MMAP_THRESHOLD, 2**25)  # an older glibc's largest
        mallopt(M_TRIM_THRESHOLD, 2**30)
