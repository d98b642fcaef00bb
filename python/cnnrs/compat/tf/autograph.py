"""`tf.autograph`: Python is not translated. A function that reads values runs as Python, and logs so once.

>>> import cnnrs.compat.tf as tf
>>> @tf.autograph.experimental.do_not_convert
... def double(x):
...     return x * 2
>>> double(3)
6
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from cnnrs.compat.tf.namespaces import unknown

__all__ = ["experimental", "set_verbosity", "trace"]

_LOG = logging.getLogger("cnnrs.compat.tf")


def set_verbosity(level: int, alsologtostdout: bool = False) -> None:
    """Says how much is logged of functions that run as Python.

    Args:
        level: 0 for warnings, more for all.
        alsologtostdout: Whether it is printed, too.
    """
    _LOG.setLevel(logging.DEBUG if level > 0 else logging.WARNING)
    if alsologtostdout and not any(isinstance(h, logging.StreamHandler) for h in _LOG.handlers):
        _LOG.addHandler(logging.StreamHandler(sys.stdout))


def trace(*args: Any) -> None:
    """Prints values while a function is recorded."""
    print(*args)


class experimental:
    """`tf.autograph.experimental`."""

    @staticmethod
    def do_not_convert(func: Any = None) -> Any:
        """The function itself, or a decorator that gives it."""
        return func if func is not None else experimental.do_not_convert_later

    @staticmethod
    def do_not_convert_later(func: Any) -> Any:
        """The function itself."""
        return func

    @staticmethod
    def set_loop_options(
        parallel_iterations: Any = None,
        swap_memory: Any = None,
        maximum_iterations: Any = None,
        shape_invariants: Any = None,
    ) -> None:
        """Checks that nothing is asked for: loops run as Python.

        Raises:
            ValueError: An argument is not None.
        """
        given = (parallel_iterations, swap_memory, maximum_iterations, shape_invariants)
        if any(value is not None for value in given):
            raise ValueError("set_loop_options: expected None; use tf.while_loop with these arguments")


__getattr__ = unknown(
    "tf.autograph", {"to_code to_graph": "Python is not translated; tf.function records it"}, __all__
)
