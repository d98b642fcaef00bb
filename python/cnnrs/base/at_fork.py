"""Locks in the child of a fork."""

from __future__ import annotations

import os
import threading
from typing import Any

__all__ = ["renew"]


def renew(module: dict[str, Any], name: str) -> None:
    """Gives `module` a fresh lock `name` in every child, where nobody may be left to free the old one."""

    def fresh() -> None:
        module[name] = threading.Lock()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=fresh)
