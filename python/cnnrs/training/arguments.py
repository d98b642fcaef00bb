"""Checks of arguments that `fit`, `evaluate` and `predict` share."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from cnnrs import config
from cnnrs.base.user_warnings import warn_user

__all__ = [
    "check_jit_compile",
    "check_steps",
    "is_due",
    "limited_epochs",
    "limited_steps",
    "resolve_verbosity",
    "takes_argument",
]


def check_jit_compile(value: Any, argument: str) -> Any:
    if value not in ("auto", True, False):
        raise ValueError(f"{argument}: expected 'auto', True or False, received {value!r}")
    return value


@functools.lru_cache(maxsize=1024)
def takes_argument(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has an argument of that name, or takes any.

    >>> takes_argument(check_steps, "steps"), takes_argument(check_steps, "epochs")
    (True, False)
    """
    parameters = inspect.signature(function).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def limited_steps(steps: int | None) -> int | None:
    """Batches of an epoch within `config.max_steps_per_epoch()`."""
    most = config.max_steps_per_epoch()
    if most is None or (steps is not None and steps <= most):
        return steps
    warn_user(f"config.max_steps_per_epoch() limits the batches of an epoch to {most}")
    return most


def limited_epochs(epochs: int) -> int:
    """Epochs within `config.max_epochs()`."""
    most = config.max_epochs()
    if most is None or epochs <= most:
        return epochs
    warn_user(f"config.max_epochs() limits the epochs to {most}")
    return most


def check_steps(steps: Any, argument: str) -> int | None:
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise ValueError(f"{argument}: expected an integer >= 1 or None, received {steps!r}")
    return steps


def resolve_verbosity(verbose: Any) -> int:
    if verbose == "auto":
        notebook = "ipykernel" in sys.modules
        terminal = sys.stdout is not None and hasattr(sys.stdout, "isatty") and sys.stdout.isatty()
        return 1 if config.is_interactive_logging_enabled() and (terminal or notebook) else 2
    if isinstance(verbose, int) and verbose > 2:
        # As in Keras: epochs are told, and no bar.
        return int(verbose)
    if verbose not in (0, 1, 2, True, False):
        raise ValueError(f"verbose: expected 'auto', 0, 1 or 2, received {verbose!r}")
    return int(verbose)


def is_due(epoch: int, frequency: Any) -> bool:
    if isinstance(frequency, int):
        if frequency < 1:
            raise ValueError(f"validation_freq: expected an integer >= 1 or a list, received {frequency}")
        return epoch % frequency == 0
    return epoch in frequency
