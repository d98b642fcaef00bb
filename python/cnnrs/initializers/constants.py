"""Initializers that draw nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.initializers.initializer import Initializer

__all__ = ["Constant", "Identity", "Ones", "Values", "Zeros"]


class Zeros(Initializer):
    """All 0.

    >>> from cnnrs import initializers
    >>> initializers.Zeros()((2,), dtype="int32").tolist()
    [0, 0]
    """

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return np.zeros(shape, dtype or "float32")


class Ones(Initializer):
    """All 1.

    >>> from cnnrs import initializers
    >>> initializers.Ones()((2,)).tolist()
    [1.0, 1.0]
    """

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return np.ones(shape, dtype or "float32")


class Constant(Initializer):
    """All `value`, a number or an array that broadcasts to the shape.

    >>> from cnnrs import initializers
    >>> initializers.Constant([1.0, 2.0])((2, 2)).tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """

    def __init__(self, value: Any = 0.0):
        self.value = value

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return np.broadcast_to(np.asarray(self.value, dtype or "float32"), shape).copy()

    def get_config(self) -> dict[str, Any]:
        return {
            "value": self.value if isinstance(self.value, (int, float)) else np.asarray(self.value).tolist()
        }


class Values(Constant):
    """What an array or tensor stands for as an initializer: its values, for a weight of its shape only.

    >>> from cnnrs import initializers
    >>> initializers.get(initializers.Ones()((2,)))((2,)).tolist()
    [1.0, 1.0]
    """

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        own = tuple(np.shape(self.value))
        if tuple(shape) != own:
            raise ValueError(f"initializer: expected the shape {own} of the values, received {tuple(shape)}")
        return super().__call__(shape, dtype)


class Identity(Initializer):
    """`gain` on the diagonal of a matrix.

    >>> from cnnrs import initializers
    >>> initializers.Identity()((2, 2)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        if len(shape) != 2:
            raise ValueError(f"Identity: expected a shape of 2 axes, received {tuple(shape)}")
        return (self.gain * np.eye(*shape)).astype(dtype or "float32")

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}
