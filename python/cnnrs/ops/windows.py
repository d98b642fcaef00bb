"""Windows of signal processing. They are computed by numpy in float64 and then converted."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import named
from cnnrs.ops.dispatch import as_tensor
from cnnrs.ops.values import values_of

__all__ = ["bartlett", "blackman", "hamming", "hanning", "kaiser"]


def _count(x: Any, name: str) -> int:
    value = values_of(x, name, "give a Python integer") if hasattr(x, "shape") else np.asarray(x)
    if value.size != 1 or value.dtype.kind not in "iuf":
        raise ValueError(f"{name}: x: expected an integer, received {x!r}")
    return max(int(value.reshape(())), 0)


def _window(values: np.ndarray) -> Any:
    return as_tensor(values.astype(np.float32))


@named
def bartlett(x: Any) -> Any:
    """Makes a triangular window.

    Args:
        x: How many points, an integer.

    Returns:
        float32 tensor of one axis; empty for less than 1.

    Raises:
        ValueError: `x` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> ops.bartlett(5).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    return _window(np.bartlett(_count(x, "bartlett")))


@named
def blackman(x: Any) -> Any:
    """Makes a Blackman window, of two cosines.

    Args:
        x: How many points, an integer.

    Returns:
        float32 tensor of one axis; empty for less than 1.

    Raises:
        ValueError: `x` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> ops.round(ops.blackman(3), 3).tolist()
        [-0.0, 1.0, -0.0]
    """
    return _window(np.blackman(_count(x, "blackman")))


@named
def hamming(x: Any) -> Any:
    """Makes a Hamming window, a raised cosine that does not reach 0.

    Args:
        x: How many points, an integer.

    Returns:
        float32 tensor of one axis; empty for less than 1.

    Raises:
        ValueError: `x` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> ops.hamming(3).tolist()
        [0.07999999821186066, 1.0, 0.07999999821186066]
    """
    return _window(np.hamming(_count(x, "hamming")))


@named
def hanning(x: Any) -> Any:
    """Makes a Hann window, a raised cosine.

    Args:
        x: How many points, an integer.

    Returns:
        float32 tensor of one axis; empty for less than 1.

    Raises:
        ValueError: `x` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> ops.hanning(3).tolist()
        [0.0, 1.0, 0.0]
    """
    return _window(np.hanning(_count(x, "hanning")))


@named
def kaiser(x: Any, beta: Any) -> Any:
    """Makes a Kaiser window, of a Bessel function.

    Args:
        x: How many points, an integer.
        beta: How narrow it is, a number; 0 gives a rectangle.

    Returns:
        float32 tensor of one axis; empty for less than 1.

    Raises:
        ValueError: `x` is no integer, or `beta` no number.

    Example:
        >>> from cnnrs import ops
        >>> ops.kaiser(3, 0.0).tolist()
        [1.0, 1.0, 1.0]
    """
    shape = values_of(beta, "kaiser", "give a Python number") if hasattr(beta, "shape") else np.asarray(beta)
    if shape.size != 1 or shape.dtype.kind not in "iuf":
        raise ValueError(f"kaiser: beta: expected a number, received {beta!r}")
    return _window(np.kaiser(_count(x, "kaiser"), float(shape.reshape(()))))
