"""How a function of `cnnrs.ops` meets its arguments: it records values in the core, symbols as nodes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from cnnrs import _core, symbolic, tree
from cnnrs.base.arguments import explain
from cnnrs.base.dtypes import (
    FLOAT,
    FLOATS,
    INTEGERS,
    STORED,
    accumulated,
    data_dtype,
    dtype_name,
    result_type,
)
from cnnrs.ops.annotated import AnnotatedTensor, pass_on

__all__ = [
    "apply",
    "as_bool",
    "as_countable",
    "as_data",
    "as_float",
    "as_floats",
    "as_index",
    "as_tensor",
    "common_float",
    "in_float32",
    "of_integers",
    "op",
    "standardize_axes",
    "standardize_axis",
    "standardize_keepdims",
]

F = TypeVar("F", bound=Callable[..., Any])


def op(function: F) -> F:
    """Makes a function of tensors one that takes symbolic tensors too."""

    @functools.wraps(function)
    def dispatching(*args: Any, **kwargs: Any) -> Any:
        if symbolic.any_symbolic(args, kwargs):
            return symbolic.OpFunction(dispatching).symbolic_call(*args, **kwargs)
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            explain(error, function, kwargs)
            raise

    dispatching.is_cnnrs_op = True  # type: ignore[attr-defined]
    return dispatching  # type: ignore[return-value]


def in_float32(function: F) -> F:
    """Makes a function of several ops compute float16 and bfloat16 in float32, and round its result once.

    Single ops of the core do so of themselves.
    """

    @functools.wraps(function)
    def widened(*args: Any, **kwargs: Any) -> Any:
        dtypes = [dtype_name(x.dtype) for x in (*args, *kwargs.values()) if hasattr(x, "dtype")]
        if not any(dtype in STORED for dtype in dtypes):
            return function(*args, **kwargs)
        result = function(*map(_widen, args), **{name: _widen(x) for name, x in kwargs.items()})
        common = result_type(*dtypes)
        return tree.map_structure(lambda x: x.astype(common) if _dtype(x) == FLOAT else x, result)

    return widened  # type: ignore[return-value]  # it has the signature of what it wraps


def of_integers(*xs: Any) -> str | None:
    """The common type of arguments that are all integers; None if one is not."""
    dtypes = [as_tensor(x).dtype for x in xs]
    return result_type(*dtypes) if all(dtype in INTEGERS for dtype in dtypes) else None


def _dtype(x: Any) -> str | None:
    return dtype_name(x.dtype) if hasattr(x, "dtype") else None


def _widen(x: Any) -> Any:
    return as_tensor(x).astype(FLOAT) if _dtype(x) in STORED else x


def as_tensor(x: Any) -> Any:
    """`x` as a `_core.Tensor`."""
    if isinstance(x, _core.Tensor):
        return x
    if isinstance(x, _core.Variable):
        return x.value
    if isinstance(x, (list, tuple)) and any(isinstance(leaf, (_core.Tensor, _core.Variable)) for leaf in x):
        return _core.apply("stack", [as_tensor(item) for item in x], {"axis": 0})
    return _core.tensor(x)


def as_data(x: Any, dtype: str = FLOAT) -> Any:
    """`x`, which a layer, loss or metric is given that computes in `dtype`, as a tensor.

    The 64 bits that numbers of arrays have, nobody asked for: they become float32 and int32.
    """
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fiu":
        wanted = data_dtype(x.dtype)
        if wanted != x.dtype.name and not dtype == x.dtype.name == "float64":
            return _core.tensor(x, wanted)
    return as_tensor(x)


def as_float(x: Any) -> Any:
    """`x` as a tensor of floats: other types become float32."""
    x = as_tensor(x)
    return x if x.dtype in FLOATS else x.astype(FLOAT)


def as_bool(x: Any) -> Any:
    """`x` as a bool tensor: whether each element differs from 0."""
    x = as_tensor(x)
    return x if x.dtype == "bool" else x.astype("bool")


def common_float(*xs: Any) -> str:
    """The common float type of arguments: what is no float does not widen those that are."""
    return result_type(*(type(x) if type(x) in (int, float) else as_tensor(x).dtype for x in xs), float)


def as_floats(*xs: Any) -> list[Any]:
    """Arguments as tensors of their common float type."""
    common = common_float(*xs)
    # A number of Python keeps the digits that the common type holds.
    tensors = [_core.tensor(x, common) if type(x) in (int, float) else as_tensor(x) for x in xs]
    return [x if x.dtype == common else x.astype(common) for x in tensors]


def as_index(x: Any) -> Any:
    """`x` as a tensor of indices or labels, int32; what int32 does not hold stays outside of every axis."""
    x = as_tensor(x)
    if x.dtype in ("int64", "uint32", "uint64"):
        x = _core.apply("minimum", [x, 2**31 - 1], {})
        x = _core.apply("maximum", [x, -(2**31)], {}) if x.dtype == "int64" else x
    return x if x.dtype == "int32" else x.astype("int32")


def as_countable(x: Any) -> Any:
    """`x` as a tensor whose elements can be added up: small integers and bool become wider."""
    x = as_tensor(x)
    dtype = accumulated(x.dtype)
    return x if x.dtype == dtype else x.astype(dtype)


def apply(name: str, *inputs: Any, **attributes: Any) -> Any:
    """Op `name` of the core, which passes on what is known of its inputs."""
    result = _core.apply(name, inputs, attributes)
    for x in inputs:
        if type(x) is AnnotatedTensor:
            return pass_on(name, result, inputs, attributes)
    return result


def standardize_axis(axis: Any, rank: int, argument: str = "axis") -> int:
    """`axis` counted from 0.

    Raises:
        TypeError: It is no integer.
        ValueError: It is outside of `-rank` to `rank - 1`, or there is no axis.
    """
    try:
        index = axis.__index__()
    except (AttributeError, TypeError):
        raise TypeError(f"{argument}: expected an integer, received {axis!r}") from None
    if not -rank <= index < rank:
        if rank == 0:
            raise ValueError(f"{argument}: expected a tensor with axes, received a scalar and axis {axis}")
        raise ValueError(f"{argument}: expected an integer from {-rank} to {rank - 1}, received {axis}")
    return index % rank


def standardize_keepdims(keepdims: Any) -> bool:
    """`keepdims` as a bool.

    Raises:
        ValueError: It is none.
    """
    if keepdims is True or keepdims is False:
        return keepdims
    if isinstance(keepdims, (int, np.bool_)) and keepdims in (0, 1):
        return bool(keepdims)
    raise ValueError(f"keepdims: expected True or False, received {keepdims!r}")


def standardize_axes(axis: Any, rank: int, argument: str = "axis") -> list[int] | None:
    """None for all axes, or the axes counted from 0.

    Raises:
        TypeError: One is no integer.
        ValueError: One is out of range, or named twice.
    """
    if axis is None:
        return None
    if isinstance(axis, (list, tuple, np.ndarray)):
        axes = [standardize_axis(a, rank, argument) for a in axis]
        if len(set(axes)) != len(axes):
            raise ValueError(f"{argument}: expected different axes, received {axis}")
        return axes
    return [standardize_axis(axis, rank, argument)]
