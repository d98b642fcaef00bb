"""Which names Keras and TensorFlow have today; run by an interpreter that has both.

    python has.py < NAMES > THOSE_THEY_LACK

Both are lists in JSON. Of an argument, `keras.ops.mean(keepdims)`, it is asked whether the function takes it.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from typing import Any

__all__ = ["has"]


def has(name: str) -> bool:
    """Whether a name, or an argument of a function, is there and may be used."""
    path, _, argument = name.rstrip(")").partition("(")
    found = _found(path)
    # Keras 3 has names of the optimizers of Keras 2, which raise when they are called.
    if found is None or getattr(found, "__name__", "") == "LegacyOptimizerWarning":
        return False
    if argument in ("", "..."):
        return True
    try:
        parameters = inspect.signature(found).parameters
    except (TypeError, ValueError):
        return False
    return argument in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _found(path: str) -> Any:
    """What stands at a path, or None."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            try:
                found = getattr(found, part)
            except (AttributeError, ImportError):
                return None
        return found
    return None


if __name__ == "__main__":
    json.dump([name for name in json.load(sys.stdin) if not has(name)], sys.stdout)
