"""What counts as a difference between the two libraries, and which ones are meant."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["MEANT", "difference", "meant"]

# Largest difference of two values over the largest of them.
_TOLERANCES = {"float16": 4e-3, "bfloat16": 3e-2, "float64": 1e-6}
_TOLERANCE = 3e-5

# Cases, by their beginning, that are meant to differ, with the reason.
MEANT: dict[str, str] = {
    "tf.image.resize(f(4, 4, 1), (6, 7), method=tf.image.ResizeMethod.BICUBIC)": (
        "Bicubic weights are computed; TensorFlow looks them up in a table of 1,024."
    ),
}


def meant(case: str) -> str | None:
    """Why a case is meant to differ; None if it is not."""
    return next((reason for start, reason in MEANT.items() if case.startswith(start)), None)


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str | None:
    """What differs; None if nothing does."""
    if "raises" in theirs or "raises" in ours:
        if "raises" in theirs and "raises" in ours:
            return None
        who = "TensorFlow" if "raises" in theirs else "cnnrs"
        raised = theirs if "raises" in theirs else ours
        return f"{who} raises {raised['raises']}: {raised.get('message', '')}"
    found = _of_lists(ours["result"], theirs["result"], "result")
    if found or "gradients" not in theirs:
        return found
    # What TensorFlow cannot differentiate is not compared.
    if isinstance(theirs["gradients"], str):
        return None
    if isinstance(ours.get("gradients"), str) or "gradients" not in ours:
        return f"gradients: {ours.get('gradients')}"
    return _of_lists(ours["gradients"], theirs["gradients"], "gradient")


def _of_lists(ours: list[Any], theirs: list[Any], what: str) -> str | None:
    if len(ours) != len(theirs):
        return f"{what}: {len(ours)} tensors, TensorFlow {len(theirs)}"
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if found := _of_leaves(a, b):
            return f"{what} {i}: {found}"
    return None


def _of_leaves(a: Any, b: Any) -> str | None:
    # No gradient is a gradient of 0.
    if (a is None) != (b is None):
        other = b if a is None else a
        return None if isinstance(other, list) and not any(other[2]) else f"{a}, TensorFlow {b}"
    if not (isinstance(a, list) and isinstance(b, list) and len(a) == len(b) == 3):
        return None if a == b else f"{a}, TensorFlow {b}"
    if a[0] != b[0]:
        return f"dtype {a[0]}, TensorFlow {b[0]}"
    if a[1] != b[1]:
        return f"shape {a[1]}, TensorFlow {b[1]}"
    if a[0] == "string":
        return None if a[2] == b[2] else f"{a[2]}, TensorFlow {b[2]}"
    ours, theirs = [float(v) for v in a[2]], [float(v) for v in b[2]]
    scale = max([1.0, *(abs(v) for v in theirs if math.isfinite(v))])
    tolerance = _TOLERANCES.get(a[0], _TOLERANCE) * scale
    for i, (x, y) in enumerate(zip(ours, theirs, strict=True)):
        if not (x == y or abs(x - y) <= tolerance or (math.isnan(x) and math.isnan(y))):
            return f"{x} at {i}, TensorFlow {y}"
    return None
