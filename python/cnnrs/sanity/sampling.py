"""Some samples of data of any kind, without using up what can be gone through only once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnrs import tree
from cnnrs.training.data_adapter import ArrayData, make_data

__all__ = ["Sampled", "parted", "sampled"]


@dataclass
class Sampled:
    """Samples as they come.

    Attributes:
        x: Inputs, (n, …); None where there are several, or none of numbers.
        y: Targets; None where there are none, or several.
        batch_sizes: How many samples were in each batch that came; of arrays nothing.
        is_whole: Whether that is all there is.
        total: How many there are; None if nobody knows.
    """

    x: np.ndarray | None
    y: np.ndarray | None
    batch_sizes: list[int]
    is_whole: bool
    total: int | None


def _spread(count: int, most: int) -> np.ndarray:
    """At most so many indices over all of them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _one(value: Any) -> np.ndarray | None:
    """The array of data that have one."""
    flat = [] if value is None else tree.flatten(value)
    if len(flat) != 1:
        return None
    array = np.asarray(flat[0].numpy() if hasattr(flat[0], "numpy") else flat[0])
    return array if array.dtype.kind in "biuf" or array.dtype.name == "bfloat16" else None


def parted(x: Any, y: Any, fraction: float) -> tuple[Any, Any]:
    """Arrays as `fit(validation_split=fraction)` parts them: the first samples, and the last ones.

    Raises:
        ValueError: x is no arrays, or a part would be empty.
    """
    if y is None and isinstance(x, tuple) and len(x) in (2, 3):
        x, y = x[0], x[1]
    data = make_data(x, y, None, None, None)
    if not isinstance(data, ArrayData):
        raise ValueError("sanity.check: validation_split: expected x to be arrays")
    first, last = data.split(fraction, None, None, None)
    return first.samples[:2], last.samples[:2]


def sampled(x: Any, y: Any, samples: int) -> Sampled:
    """Samples of data, as `fit` takes them.

    Args:
        x: Arrays, or what yields batches.
        y: Targets, if x is arrays.
        samples: How many at most.

    Raises:
        TypeError: `x` can be gone through only once.
    """
    if y is None and isinstance(x, tuple) and len(x) in (2, 3):
        x, y = x[0], x[1]
    data = make_data(x, y, None, None, None)
    if isinstance(data, ArrayData):
        inputs, targets = _one(data.samples[0]), _one(data.samples[1])
        rows = _spread(data.size, samples)
        # Labels are small: all of them are looked at.
        return Sampled(
            None if inputs is None else inputs[rows], targets, [], len(rows) == data.size, data.size
        )
    if data.once:
        raise TypeError("sanity.check: x: expected what can be gone through again, received an iterator")
    xs: list[np.ndarray] = []
    ys: list[np.ndarray] = []
    sizes: list[int] = []
    seen, whole = 0, True
    for batch, target, _ in data.epoch():
        if seen >= samples or len(sizes) >= 64:
            whole = False
            break
        inputs, targets = _one(batch), _one(target)
        if inputs is None:
            break
        xs.append(inputs)
        seen += len(inputs)
        sizes.append(len(inputs))
        if targets is not None and len(targets) == len(inputs):
            ys.append(targets)
    shapes = {a.shape[1:] for a in xs}
    joined = np.concatenate(xs)[:samples] if xs and len(shapes) == 1 else None
    return Sampled(
        joined,
        np.concatenate(ys) if ys and len(ys) == len(xs) else None,
        sizes,
        whole,
        seen if whole else None,
    )
