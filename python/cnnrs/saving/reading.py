"""What reading a file has in common for all formats: errors that name the file and its part."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from cnnrs.base.consent import CodeRefusedError
from cnnrs.serialization import UnknownObjectError

__all__ = ["reading", "unique_keys"]


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The entries of a JSON object, of which `json` would take the last of several with one key."""
    entries = dict(pairs)
    if len(entries) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} occurs twice")
    return entries


@contextlib.contextmanager
def reading(part: str, path: str) -> Iterator[None]:
    """Errors inside become a ValueError that says which part of which file is damaged or does not fit."""
    try:
        yield
    except (UnknownObjectError, CodeRefusedError) as error:
        raise type(error)(f"{path!r}: {part}: {error}") from error
    except MemoryError as error:
        raise MemoryError(f"{path!r}: {part}: {error}") from error
    except Exception as error:
        text = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"{path!r}: {part} is damaged or does not fit: {type(error).__name__}: {text}"
        ) from error
