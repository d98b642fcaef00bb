"""Libraries that the package can do without: each comes with an extra, and errors say which."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["library", "pyplot"]


def library(module: str, extra: str, purpose: str) -> Any:
    """A module of an optional library.

    Args:
        module: Its name.
        extra: The extra of cnnrs that installs it.
        purpose: What needs it: the beginning of the error.

    Raises:
        ImportError: It is not installed. The message says how to install it.

    >>> library("no_such_library", "plot", "Curves: plot")
    Traceback (most recent call last):
    ImportError: Curves: plot: needs no_such_library, which is not installed: pip install "cnnrs[plot]"
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.split(".")[0]
        if getattr(error, "name", None) not in (name, module):
            raise
        raise ImportError(
            f'{purpose}: needs {name}, which is not installed: pip install "cnnrs[{extra}]"', name=name
        ) from None


def pyplot(purpose: str) -> Any:
    """`matplotlib.pyplot`, of the extra `plot`.

    Args:
        purpose: What needs it, for the error: "LearningRates.plot", say.

    Raises:
        ImportError: matplotlib is not installed.
    """
    return library("matplotlib.pyplot", "plot", purpose)
