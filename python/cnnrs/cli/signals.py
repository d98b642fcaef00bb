"""Exit statuses, and what SIGINT and SIGTERM do to commands."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

__all__ = ["CLOSED_PIPE", "INTERRUPTED", "TERMINATED", "USAGE", "Terminated", "terminable", "undisturbed"]

# What `argparse` exits with upon wrong arguments; settings of a file are arguments, too.
USAGE = 2
# As of programs that SIGINT, SIGPIPE and SIGTERM end.
INTERRUPTED = 130
CLOSED_PIPE = 141
TERMINATED = 143


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a training as SIGINT does."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises `Terminated`, unless somebody has chosen already what it does."""
    chosen = signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    if chosen or threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(*_: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """SIGINT and SIGTERM do nothing: the second Ctrl-C does not lose what is saved upon the first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
