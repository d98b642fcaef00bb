"""Automatic names (`conv2d`, `conv2d_1`, ...) and name scopes."""

from __future__ import annotations

import collections
import contextlib
import re
import threading
from collections.abc import Container, Iterator
from typing import Any

from cnnrs.base.arguments import reject
from cnnrs.base.at_fork import renew

__all__ = [
    "auto_name",
    "current_path",
    "enter_scopes",
    "fresh_names",
    "scopes",
    "get_uid",
    "is_text",
    "name_scope",
    "object_name",
    "reset_uids",
    "to_snake_case",
    "unique",
]

_LOCK = threading.Lock()
renew(globals(), "_LOCK")
_COUNTS: collections.Counter[str] = collections.Counter()


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()


_SCOPES = _Scopes()


def to_snake_case(name: str) -> str:
    """The form of a class name that Keras gives to layers.

    >>> to_snake_case("MaxPooling2D"), to_snake_case("ReLU")
    ('max_pooling2d', 're_lu')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def object_name(obj: Any) -> str:
    """What an object or function is called: its `name`, else that of the function or class in snake case.

    >>> object_name(lambda y_true, y_pred: y_pred)
    'lambda'
    """
    name = getattr(obj, "name", None)
    return name if isinstance(name, str) else to_snake_case(getattr(obj, "__name__", type(obj).__name__))


def unique(name: str, taken: Container[str]) -> str:
    """`name`, or the first of `name_1`, `name_2`, ... that is not taken.

    >>> unique("mae", ["mae", "mae_1"])
    'mae_2'
    """
    found, count = name, 0
    while found in taken:
        count += 1
        found = f"{name}_{count}"
    return found


def is_text(name: str) -> bool:
    """Whether UTF-8 has all characters of a string; halves of surrogate pairs are none.

    >>> is_text("é"), is_text("\\ud800")
    (True, False)
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def get_uid(prefix: str = "") -> int:
    """How often `prefix` has been asked for, this time included."""
    with _LOCK:
        _COUNTS[prefix] += 1
        return _COUNTS[prefix]


def auto_name(prefix: str) -> str:
    """`prefix` the first time, then `prefix_1`, `prefix_2`, ..."""
    count = get_uid(prefix)
    return prefix if count == 1 else f"{prefix}_{count - 1}"


@contextlib.contextmanager
def fresh_names() -> Iterator[None]:
    """Automatic names inside are those of a new process; outside they go on as if nothing had been.

    >>> with fresh_names():
    ...     auto_name("dense")
    'dense'
    """
    with _LOCK:
        before = _COUNTS.copy()
        _COUNTS.clear()
    try:
        yield
    finally:
        with _LOCK:
            _COUNTS.clear()
            _COUNTS.update(before)


def reset_uids() -> None:
    """Automatic names start afresh."""
    with _LOCK:
        _COUNTS.clear()


class name_scope:
    """Context manager: variables made inside have `name` in their path.

    >>> with name_scope("block"):
    ...     current_path()
    'block'
    """

    def __init__(self, name: str, **kwargs: Any):
        reject(name_scope, kwargs)
        if not isinstance(name, str) or "/" in name or not is_text(name):
            raise ValueError(f"name_scope: expected text without '/', received {name!r}")
        self.name = name

    def __enter__(self) -> name_scope:
        # By plain assignment, so that the scope around puts things right if an interrupt skips the exit.
        self._outer = _SCOPES.names
        _SCOPES.names = (*self._outer, self.name)
        return self

    def __exit__(self, *exception: object) -> None:
        _SCOPES.names = self._outer


def scopes() -> tuple[str, ...]:
    """Names of the scopes of this thread."""
    return _SCOPES.names


def enter_scopes(names: tuple[str, ...]) -> tuple[str, ...]:
    """Makes `names` the scopes of this thread; gives those before, with which a second call puts them back.

    >>> outer = enter_scopes(("model", "block"))
    >>> current_path()
    'model/block'
    >>> enter_scopes(outer)
    ('model', 'block')
    """
    outer = _SCOPES.names
    _SCOPES.names = names
    return outer


def current_path() -> str:
    """Names of the scopes of this thread, joined by slashes."""
    return "/".join(_SCOPES.names)
