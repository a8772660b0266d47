"""SIGINT and SIGTERM set a flag that is read between steps, so that a step is never torn."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interrupted(Exception):
    """Play was stopped by a signal, after a checkpoint. `status` is the exit status by convention (130 or 143)."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.status = 128 + signum


class SignalFlag:
    """While entered, the first SIGINT or SIGTERM is remembered in `received`; a second one acts at once.

    Outside the main thread, where Python allows no handlers, nothing is caught.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._former: dict[int, object] = {}

    def __enter__(self) -> SignalFlag:
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._former[signum] = signal.signal(signum, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        self.received = signum
        self._restore()

    def _restore(self) -> None:
        while self._former:
            signum, handler = self._former.popitem()
            signal.signal(signum, handler)  # type: ignore[arg-type]
