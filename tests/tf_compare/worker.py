"""Runs every case with one of the two libraries: `worker.py tensorflow|cnnrs OUT`.

A result is a list of `[dtype, shape, values]`, one for each tensor that the expression gives, or the name of
the exception. Gradients are those of the sum of all float results, each times 1, 2, 3, ..., by the tensors
that `f` made.
"""

from __future__ import annotations

import ast
import json
import math
import os
import pathlib
import sys
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from tf_compare.cases import CASES
from tf_compare.scripts import SCRIPTS


class Inputs:
    """Makes the tensors of a case: the same numbers in both libraries.

    Args:
        tf: The library.
        tape: A tape that watches floats, or None.
    """

    def __init__(self, tf: Any, tape: Any = None):
        self.tf, self.tape = tf, tape
        self.made: list[Any] = []
        self._random = np.random.RandomState(7)

    def f(self, *shape: int, low: float = -2.0, high: float = 2.0, dtype: str = "float32") -> Any:
        """Floats; gradients by them are compared."""
        x = self.tf.constant(self._random.uniform(low, high, shape).astype(dtype))
        if self.tape is not None:
            self.tape.watch(x)
        self.made.append(x)
        return x

    def n(self, *shape: int, low: int = -5, high: int = 6, dtype: str = "int32") -> Any:
        """Integers."""
        return self.tf.constant(self._random.randint(low, high, shape).astype(dtype))

    def b(self, *shape: int) -> Any:
        """Booleans."""
        return self.tf.constant(self._random.uniform(size=shape) < 0.5)

    def names(self) -> dict[str, Any]:
        return {"tf": self.tf, "np": np, "math": math, "f": self.f, "n": self.n, "b": self.b}


def names_of(expression: str) -> set[str]:
    """The names of `tf` that an expression uses, such as "tf.image.resize"."""
    found = set()
    for node in ast.walk(ast.parse(expression)):
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id == "tf" and parts:
            found.add(".".join(["tf", *reversed(parts)]))
    return found


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key in sorted(value) for leaf in leaves(value[key])]
    if isinstance(value, (list, tuple)) and not hasattr(value, "as_list"):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def plain(leaf: Any) -> Any:
    """A leaf of a result as data of JSON."""
    if hasattr(leaf, "as_list"):
        return ["shape", leaf.as_list()]
    if hasattr(leaf, "as_numpy_dtype"):
        return ["type", leaf.name]
    if leaf is None or isinstance(leaf, (bool, int, float, str)):
        return leaf
    if isinstance(leaf, bytes):
        return leaf.decode()
    array = np.asarray(leaf.numpy() if hasattr(leaf, "numpy") else leaf)
    if array.dtype.kind in "OSU":
        return [
            "string",
            list(array.shape),
            [t.decode() if isinstance(t, bytes) else str(t) for t in array.flat],
        ]
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag])
        return ["complex", list(array.shape), [float(f"{v:.8g}") for v in array.flat]]
    name = getattr(leaf, "dtype", array.dtype)
    name = getattr(name, "name", str(name))
    if array.dtype.kind in "biu":
        return [name, list(array.shape), [int(v) for v in array.flat]]
    return [name, list(array.shape), [_number(v) for v in array.astype("float64").flat]]


def _number(value: float) -> Any:
    """A float with the digits that float32 has; text for what JSON lacks."""
    return float(f"{value:.8g}") if math.isfinite(value) else str(value)


def _is_float(tf: Any, leaf: Any) -> bool:
    return tf.is_tensor(leaf) and getattr(leaf.dtype, "is_floating", False)


def evaluate(tf: Any, expression: str) -> dict[str, Any]:
    """What an expression gives, and its gradients."""
    inputs = Inputs(tf)
    try:
        result = eval(expression, inputs.names())
    except Exception as error:
        return {"raises": type(error).__name__, "message": str(error)[:300]}
    found: dict[str, Any] = {"result": [plain(leaf) for leaf in leaves(result)]}
    if inputs.made and "# values" not in expression and any(_is_float(tf, leaf) for leaf in leaves(result)):
        try:
            found["gradients"] = [plain(g) for g in gradients(tf, expression)]
        except Exception as error:
            found["gradients"] = f"{type(error).__name__}: {str(error)[:200]}"
    return found


def gradients(tf: Any, expression: str) -> list[Any]:
    with tf.GradientTape() as tape:
        inputs = Inputs(tf, tape)
        total = tf.constant(0.0)
        for leaf in leaves(eval(expression, inputs.names())):
            if _is_float(tf, leaf):
                flat = tf.reshape(tf.cast(leaf, tf.float32), [-1])
                weights = tf.constant(np.arange(1, int(flat.shape[0]) + 1, dtype="float32"))
                total = total + tf.reduce_sum(flat * weights)
    found = tape.gradient(total, inputs.made)
    # TensorFlow gives the rows that were gathered, some of them.
    return [g if g is None else tf.convert_to_tensor(g) for g in found]


def main(library: str, out: str) -> None:
    if library == "tensorflow":
        import tensorflow as tf
    else:
        import cnnrs.compat.tf as tf
    results = {expression: evaluate(tf, expression) for expression in CASES}
    for name, script in SCRIPTS.items():
        try:
            results[name] = {"result": [plain(leaf) for leaf in leaves(script(tf))]}
        except Exception as error:
            results[name] = {"raises": type(error).__name__, "message": str(error)[:300]}
    pathlib.Path(out).write_text(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
