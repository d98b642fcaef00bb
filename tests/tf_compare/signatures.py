"""The public names of TensorFlow and their arguments: `signatures.py OUT`, run with TensorFlow.

The modules are those of the bridge. Defaults are kept where they are plain.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pathlib
import sys
from typing import Any

__all__ = ["MODULES", "arguments", "found"]

MODULES = """
tf tf.autograph tf.bitwise tf.compat tf.config tf.data tf.debugging tf.distribute tf.dtypes
tf.errors tf.experimental tf.image tf.io tf.linalg tf.lookup tf.math tf.nest tf.nn tf.ragged
tf.random tf.saved_model tf.signal tf.sparse tf.strings tf.summary tf.sysconfig tf.test tf.train
tf.types tf.version
""".split()


def arguments(target: Any) -> str | None:
    """Names and defaults of what a callable takes, but `name`; None if it cannot be asked."""
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        return None
    return ", ".join(p.name + _default(p.default) for p in parameters if p.name not in ("self", "name"))


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return ""
    if hasattr(value, "as_numpy_dtype"):
        return f"={value.name}"
    return f"={value!r}" if value is None or isinstance(value, (bool, int, float, str)) else "=..."


def found(tf: Any) -> dict[str, Any]:
    """Arguments by name; None for what is no function."""
    names: dict[str, Any] = {}
    for place in MODULES:
        module = tf
        for part in place.split(".")[1:]:
            module = getattr(module, part)
        for name in dir(module):
            if not name.startswith("_") and not inspect.ismodule(value := getattr(module, name)):
                names[f"{place}.{name}"] = arguments(value) if callable(value) else None
    return names


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tensorflow = importlib.import_module("tensorflow")
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(found(tensorflow).items())]
    pathlib.Path(sys.argv[1]).write_text("{\n" + ",\n".join(lines) + "\n}\n")
