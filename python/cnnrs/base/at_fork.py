"""Locks in the child of a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["renew"]


def renew(module: dict[str, Any], name: str, kind: Callable[[], Any] = threading.Lock) -> None:
    """Gives `module` a fresh lock `name` in every child, where nobody may be left to free the old one.

    Args:
        module: Globals of the module.
        name: The variable that holds the lock.
        kind: What makes the lock.
    """

    def fresh() -> None:
        module[name] = kind()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=fresh)
