"""Lower precision: bfloat16 autocast that works on every device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def bfloat16(device: torch.device, wanted: bool = True) -> Iterator[None]:
    """Inside, networks run under bfloat16 autocast, if that is `wanted`.

    On CPUs without instructions for it (AVX2 and older) oneDNN has no LSTM in bfloat16 and raises an error in place of
    passing it on: there it is off inside, and torch's own kernels, which are everywhere, do the work.
    """
    with torch.autocast(device.type, torch.bfloat16, enabled=wanted), _without_onednn(wanted and _is_at_a_loss(device)):
        yield


def _is_at_a_loss(device: torch.device) -> bool:
    """Whether oneDNN would be asked for what it has not."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    return not torch.ops.mkldnn._is_mkldnn_bf16_supported()


@contextlib.contextmanager
def _without_onednn(off: bool) -> Iterator[None]:
    former = bool(torch.backends.mkldnn.enabled)
    torch.backends.mkldnn.enabled = former and not off  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = former  # type: ignore[assignment]
