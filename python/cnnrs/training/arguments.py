"""Checks of arguments that `fit`, `evaluate` and `predict` share."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["check_steps", "is_due", "resolve_verbosity"]


def check_steps(steps: Any, argument: str) -> int | None:
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise ValueError(f"{argument}: expected an integer >= 1 or None, received {steps!r}")
    return steps


def resolve_verbosity(verbose: Any) -> int:
    if verbose == "auto":
        from cnnrs import config

        notebook = "ipykernel" in sys.modules
        terminal = sys.stdout is not None and hasattr(sys.stdout, "isatty") and sys.stdout.isatty()
        return 1 if config.is_interactive_logging_enabled() and (terminal or notebook) else 2
    if verbose not in (0, 1, 2, True, False):
        raise ValueError(f"verbose: expected 'auto', 0, 1 or 2, received {verbose!r}")
    return int(verbose)


def is_due(epoch: int, frequency: Any) -> bool:
    if isinstance(frequency, int):
        if frequency < 1:
            raise ValueError(f"validation_freq: expected an integer >= 1 or a list, received {frequency}")
        return epoch % frequency == 0
    return epoch in frequency
