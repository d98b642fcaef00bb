"""Keys of random draws for ops, which stand above `cnnrs.random`, where keys are made."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["draw"]


def draw(seed: Any) -> Any:
    """A key for one draw, by an integer, a `random.SeedGenerator`, or None for that of the process."""
    return importlib.import_module("cnnrs.random")._key(seed)
