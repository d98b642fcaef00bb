"""How often attributes of layers have changed: what was recorded of a layer before holds no more."""

from __future__ import annotations

__all__ = ["current", "note_change"]

_changes = 0


def note_change() -> None:
    """Notes that an attribute of some layer is another one."""
    global _changes
    _changes += 1


def current() -> int:
    """The number of changes so far."""
    return _changes
