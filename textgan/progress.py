"""One progress display over the whole plan: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Mapping
from types import TracebackType

from tqdm import tqdm


class Progress:
    """Counts steps from `done` to `total` and shows where play stands.

    On a terminal this is a bar with the time left; elsewhere (a file, a CI log) a line every `line_seconds` seconds.
    What is not `shown` says nothing at all.
    """

    def __init__(self, total: int, done: int = 0, line_seconds: float = 10.0, shown: bool = True) -> None:
        self._out = sys.stderr if shown else io.StringIO()
        self._total, self._done = total, done
        self._line_seconds = line_seconds
        self._started = self._last_line = time.monotonic()
        self._where = ""
        self._values: dict[str, float] = {}
        self._bar: tqdm | None = None
        if self._out.isatty():
            self._bar = tqdm(total=total, initial=done, file=self._out, unit="step", smoothing=0.05, dynamic_ncols=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, where: str) -> None:
        """One step was made; `where` names the stage and the round."""
        self._done += 1
        self._where = where
        if self._bar is not None:
            self._bar.set_description_str(where, refresh=False)
            self._bar.update()
        elif time.monotonic() - self._last_line >= self._line_seconds:
            self._line()

    def values(self, values: Mapping[str, float]) -> None:
        """Numbers worth watching; they replace those before."""
        self._values = dict(values)
        if self._bar is not None:
            self._bar.set_postfix_str(self._shown_values(), refresh=False)

    def note(self, message: str) -> None:
        """A line that stays."""
        if self._bar is not None:
            self._bar.write(message, file=self._out)
        else:
            print(message, file=self._out, flush=True)

    def _line(self) -> None:
        self._last_line = time.monotonic()
        elapsed = self._last_line - self._started
        self.note(
            f"{100 * self._done / max(self._total, 1):5.1f}%  step {self._done:,}/{self._total:,}"
            f"  {elapsed:6.0f} s  {self._where}  {self._shown_values()}"
        )

    def _shown_values(self) -> str:
        return " ".join(f"{name}={value:.3g}" for name, value in self._values.items())
