"""Whether code in files may be read: nowhere, unless somebody says that he trusts them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

__all__ = [
    "CodeRefusedError",
    "allow_code",
    "code_allowed",
    "code_written",
    "permitting",
    "writing_code",
]


class CodeRefusedError(ValueError):
    """A file holds code, and nobody consented to it."""


class _Consent(threading.local):
    def __init__(self) -> None:
        self.given = False
        self.writes = False


_CONSENT = _Consent()
_EVERYWHERE = [False]


def allow_code() -> None:
    """Consents to code in all files from now on."""
    _EVERYWHERE[0] = True


def code_allowed() -> bool:
    """Whether code in files may be read.

    >>> with permitting(True):
    ...     code_allowed()
    True
    """
    return _CONSENT.given or _EVERYWHERE[0]


def code_written() -> bool:
    """Whether code may be written: to write it does nothing, whoever reads the file must consent."""
    return _CONSENT.writes or code_allowed()


@contextlib.contextmanager
def writing_code(allowed: bool = True) -> Iterator[None]:
    """Within it code may be written, if `allowed`; else it may not."""
    before = _CONSENT.writes
    _CONSENT.writes = allowed
    try:
        yield
    finally:
        _CONSENT.writes = before


@contextlib.contextmanager
def permitting(allowed: bool) -> Iterator[None]:
    """Within it code may be read, if `allowed`; else it is as outside."""
    before = _CONSENT.given
    _CONSENT.given = before or allowed
    try:
        yield
    finally:
        _CONSENT.given = before
