"""A progress bar in Keras's text format."""

from __future__ import annotations

import math
import shutil
import sys
import time
from typing import Any

from cnnrs.base.progress_line import fitted, visible_width


def _is_terminal() -> bool:
    isatty = getattr(sys.stdout, "isatty", None)
    return isatty is not None and isatty()


class Progbar:
    """Prints progress, at most once an `interval`. Prints nothing where a process has no standard output.

    Args:
        target: Number of steps; None if unknown.
        width: Characters of the bar.
        verbose: 1 prints a bar that is redrawn, 2 one line at the end, any other number nothing.
        interval: Least seconds between two drawings.
        stateful_metrics: Names of values that are shown as they are; of others the mean over the steps is.
        stateless_metrics: The other way round: names of values whose mean is shown. None of both means that
            no value is shown as it is.
        unit_name: What a step is called.

    Raises:
        ValueError: Both lists of names are given.

    >>> from cnnrs import utils
    >>> bar = utils.Progbar(2, verbose=2)
    >>> bar.update(2, [("loss", 0.5)])
    2/2 - 0s - ... - loss: 0.5000
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Any = None,
        stateless_metrics: Any = None,
        unit_name: str = "step",
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError(
                "Progbar: expected one of stateful_metrics and stateless_metrics, received both. Only one of "
                "them can say which values are shown as they are"
            )
        self.stateful_metrics = None if stateless_metrics is not None else set(stateful_metrics or ())
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self.target, self.width, self.verbose, self.interval = target, width, verbose, interval
        self.unit_name, self.seen = unit_name, 0
        self._values: dict[str, Any] = {}
        # Of values whose mean is shown: the sum and the steps.
        self._sums: dict[str, tuple[Any, int]] = {}
        self._start = time.time()
        self._drawn = 0.0
        self._length = 0

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """Shows that `current` steps are done, with `(name, value)` pairs."""
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        steps, self.seen = max(current - self.seen, 1), current
        for name, value in dict(values or []).items():
            if self._is_averaged(name) and not finalize:
                total, before = self._sums.get(name, (0, 0))
                self._sums[name] = (total + value * steps, before + steps)
                value = self._sums[name][0] / self._sums[name][1]
            self._values[name] = value
        now = time.time()
        is_silent = self.verbose not in (1, 2) or sys.stdout is None
        if is_silent or (not finalize and now - self._drawn < self.interval):
            return
        elapsed = now - self._start
        if self.verbose == 2:
            if finalize:
                print(
                    f"{self._count()} - {elapsed:.0f}s - {self._each(elapsed)}{''.join(self._texts())}",
                    flush=True,
                )
            return
        self._drawn = now
        if self.target is None or finalize:
            times = [f"{elapsed:.0f}s", self._each(elapsed)]
        else:
            left = elapsed / max(current, 1) * (self.target - current)
            times = [self._duration(left)]
        # A cursor behind the last column may wrap.
        columns = shutil.get_terminal_size().columns - 1 if _is_terminal() else None
        width, count, rest = fitted(self._count(), times, self._texts(), self.width, columns, finalize)
        line = " ".join(part for part in (count, self._bar(width), rest) if part)
        visible = visible_width(line)
        text = "\r" + line + " " * max(0, self._length - visible) + ("\n" if finalize else "")
        print(text, end="", flush=True)
        self._length = visible

    def _is_averaged(self, name: str) -> bool:
        if self.stateless_metrics is not None:
            return name in self.stateless_metrics
        return self.stateful_metrics is None or name not in self.stateful_metrics

    def add(self, n: int, values: Any = None) -> None:
        """Shows that `n` more steps are done."""
        self.update(self.seen + n, values)

    def _count(self) -> str:
        if self.target is None:
            return f"{self.seen}/Unknown"
        return f"{self.seen:>{int(math.log10(max(self.target, 1))) + 1}}/{self.target}"

    def _bar(self, width: int) -> str:
        """A bar of so many columns."""
        if width <= 0:
            return ""
        done = 1.0 if not self.target else min(1.0, self.seen / self.target)
        try:
            "━".encode(getattr(sys.stdout, "encoding", None) or "ascii")
        except (UnicodeEncodeError, LookupError):
            inside = max(0, width - 2)
            full = int(inside * done)
            return "[" + "=" * full + "." * (inside - full) + "]"
        full = int(width * done)
        if _is_terminal():
            return f"\x1b[32m{'━' * full}\x1b[0m\x1b[37m{'━' * (width - full)}\x1b[0m"
        return "━" * full + " " * (width - full)

    def _each(self, elapsed: float) -> str:
        each = elapsed / max(self.seen, 1)
        if each >= 1 or each == 0:
            return f"{each:.0f}s/{self.unit_name}"
        if each >= 1e-3:
            return f"{each * 1e3:.0f}ms/{self.unit_name}"
        return f"{each * 1e6:.0f}us/{self.unit_name}"

    @staticmethod
    def _duration(seconds: float) -> str:
        if seconds > 3600:
            return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{int(seconds % 60):02d}"
        return f"{int(seconds // 60)}:{int(seconds % 60):02d}" if seconds > 60 else f"{seconds:.0f}s"

    def _texts(self) -> list[str]:
        """Names with values."""

        def shown(value: Any) -> str:
            if isinstance(value, (int, float)):
                return f"{value:.4f}" if abs(value) > 1e-3 or value == 0 else f"{value:.4e}"
            return str(value)

        return [f" - {name}: {shown(value)}" for name, value in self._values.items()]
