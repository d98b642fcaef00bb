"""`Stopping`: SIGINT and SIGTERM ask a training to stop after the batch under way."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any

__all__ = ["Interrupted", "Stopping"]


class Interrupted(KeyboardInterrupt):
    """A training that stopped on request, with its state saved.

    Attributes:
        number: The signal.
    """

    def __init__(self, number: int):
        super().__init__()
        self.number = number


class Stopping:
    """As a context: the first SIGINT or SIGTERM is noted, the next one interrupts at once.

    Outside of the main thread, and for signals that somebody handles already, nothing changes.

    Attributes:
        number: The signal that came; None if none did.

    >>> import os
    >>> with Stopping(quiet=True) as stopping:
    ...     os.kill(os.getpid(), signal.SIGINT)
    ...     stopping.number == signal.SIGINT
    True
    """

    def __init__(self, quiet: bool = False):
        self.number: int | None = None
        self._quiet = quiet
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
            for number, default in defaults.items():
                if signal.getsignal(number) is default:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            raise Interrupted(number)
        self.number = number
        if not self._quiet and sys.stderr is not None:
            print("\nstopping after this batch; again to stop at once", file=sys.stderr, flush=True)

    def check(self) -> None:
        """Raises `Interrupted` if a signal has come."""
        if self.number is not None:
            raise Interrupted(self.number)
