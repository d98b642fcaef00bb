"""Complex numbers as pairs of real ones. No tensor is complex: what is lies in numpy's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base import context
from cnnrs.ops.creation import zeros_like
from cnnrs.ops.dispatch import apply, as_float, as_tensor, op

__all__ = ["polar", "view_as_complex", "view_as_real"]


def _outside(name: str, instead: str) -> None:
    if context.is_tracing():
        raise TypeError(
            f"{name}: there are no complex tensors, so that no traced function has any; {instead}"
        )


@op
def view_as_complex(x: Any) -> Any:
    """Makes complex numbers of pairs of real ones, for libraries that take numpy's arrays.

    There are no complex tensors: no gradient flows through the result, and traced functions keep the pairs.

    Args:
        x: Tensor of shape (..., 2): the real and the imaginary part.

    Returns:
        A numpy array of shape (...) and dtype complex64.

    Raises:
        TypeError: `x` is not numeric, or a function is being traced.
        ValueError: The last axis does not have two elements.

    Example:
        >>> from cnnrs import ops
        >>> ops.view_as_complex([[1.0, 2.0], [3.0, 4.0]]).tolist()
        [(1+2j), (3+4j)]
    """
    x = as_float(x)
    if x.ndim < 1 or x.shape[-1] != 2:
        raise ValueError(
            "view_as_complex: x: Last dimension of input must be size 2 (real and imaginary), "
            f"received shape {x.shape}"
        )
    _outside("view_as_complex", "compute with x[..., 0] and x[..., 1]")
    pairs = x.astype("float32").numpy()
    return (pairs[..., 0] + 1j * pairs[..., 1]).astype(np.complex64)


@op
def view_as_real(x: Any) -> Any:
    """Makes pairs of real numbers of complex ones.

    Args:
        x: A numpy array of complex numbers, or a tensor of real ones, whose imaginary parts are 0.

    Returns:
        float32 tensor of shape (..., 2): the real and the imaginary part.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> ops.view_as_real(np.array([1 + 2j, 3 + 4j])).tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    if isinstance(x, (np.ndarray, np.generic)) and np.iscomplexobj(x):
        return as_tensor(np.stack([x.real, x.imag], axis=-1).astype(np.float32))
    real = as_float(x)
    return apply("stack", real, zeros_like(real), axis=-1)


@op
def polar(abs_: Any, angle: Any) -> Any:
    """Makes complex numbers of their absolute values and angles, for libraries that take numpy's arrays.

    There are no complex tensors: no gradient flows through the result. `abs_ * cos(angle)` and `abs_ *
    sin(angle)` are the parts as tensors.

    Args:
        abs_: Absolute values, a tensor of any shape.
        angle: Angles in radians, of a shape that broadcasts with it.

    Returns:
        A numpy array of dtype complex64.

    Raises:
        TypeError: An argument is not numeric, or a function is being traced.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.polar([1.0, 2.0], [0.0, 0.0]).tolist()
        [(1+0j), (2+0j)]
    """
    size, turn = as_float(abs_), as_float(angle)
    real, imaginary = (apply("mul", size, apply(part, turn)) for part in ("cos", "sin"))
    _outside("polar", "compute with abs_ * cos(angle) and abs_ * sin(angle)")
    return (real.astype("float32").numpy() + 1j * imaginary.astype("float32").numpy()).astype(np.complex64)
