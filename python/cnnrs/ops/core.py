"""Conversion, shapes and control flow."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs import _core, symbolic, tree
from cnnrs.base import context
from cnnrs.base.dtypes import standardize_dtype
from cnnrs.ops.dispatch import apply, as_tensor, op

__all__ = [
    "cast",
    "cond",
    "convert_to_numpy",
    "convert_to_tensor",
    "custom_gradient",
    "dtype",
    "fori_loop",
    "is_tensor",
    "map",
    "saturate_cast",
    "shape",
    "slice",
    "stop_gradient",
    "unstack",
    "vectorized_map",
    "while_loop",
]


def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> Any:
    """A tensor of the values of `x`: an array, a number, nested lists, a variable or a tensor.

    float64 becomes float32, int64 int32.

    Args:
        x: The values.
        dtype: The element type; None keeps that of `x`.
        sparse: None or False.
        ragged: None or False.

    >>> from cnnrs import ops
    >>> ops.convert_to_tensor([1, 2]).dtype
    'int32'
    """
    if sparse or ragged:
        raise ValueError("convert_to_tensor: sparse and ragged tensors are not supported; expected False")
    if isinstance(x, symbolic.KerasTensor):
        return x if dtype is None else cast(x, dtype)
    x = as_tensor(x)
    if dtype is not None and x.dtype != standardize_dtype(dtype):
        return x.astype(standardize_dtype(dtype))
    return x


def convert_to_numpy(x: Any) -> np.ndarray:
    """The values as a numpy array."""
    return x.numpy() if isinstance(x, (_core.Tensor, _core.Variable)) else np.asarray(x)


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor or a symbolic tensor."""
    return isinstance(x, (_core.Tensor, symbolic.KerasTensor))


def shape(x: Any) -> tuple[int | None, ...]:
    """The extents; None where a symbolic tensor does not know one."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


def dtype(x: Any) -> str:
    """Name of the element type."""
    return standardize_dtype(x.dtype) if hasattr(x, "dtype") else as_tensor(x).dtype


@op
def cast(x: Any, dtype: Any) -> Any:
    """The same values under another element type; floats are cut towards zero."""
    dtype = standardize_dtype(dtype)
    x = as_tensor(x)
    return x if x.dtype == dtype else x.astype(dtype)


@op
def saturate_cast(x: Any, dtype: Any) -> Any:
    """`cast` after clipping to what `dtype` can hold."""
    dtype = standardize_dtype(dtype)
    x = as_tensor(x)
    if dtype == "uint8" and x.dtype != "uint8":
        x = apply("minimum", apply("maximum", x.astype("float32"), 0.0), 255.0)
    elif dtype == "int32" and x.dtype == "float32":
        # 2147483520 is the largest float32 below 2^31.
        x = apply("minimum", apply("maximum", x, -2147483648.0), 2147483520.0)
    return x.astype(dtype)


@op
def slice(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """The block of extents `shape` that starts at `start_indices`."""
    inputs = as_tensor(inputs)
    starts = [int(i) for i in start_indices]
    stops = [start + int(extent) for start, extent in zip(starts, shape, strict=True)]
    return apply("slice", inputs, starts=starts, stops=stops, steps=[1] * len(starts))


@op
def stop_gradient(variable: Any) -> Any:
    """The same values, through which no gradient flows."""
    return apply("stop_gradient", as_tensor(variable))


@op
def unstack(x: Any, num: int | None = None, axis: int = 0) -> Any:
    """The slices along `axis`, as a list."""
    x = as_tensor(x)
    extent = x.shape[axis]
    if num is not None and num != extent:
        raise ValueError(f"unstack: num: expected {extent}, the extent of axis {axis}, received {num}")
    index: list[Any] = [builtins.slice(None)] * x.ndim
    parts = []
    for i in range(extent):
        index[axis] = i
        parts.append(x[tuple(index)])
    return parts


def _decide(value: Any, name: str) -> bool:
    if isinstance(value, _core.Tensor) and context.is_tracing() and not value.is_realised:
        raise RuntimeError(
            f"{name}: the condition depends on values that are not known while a function is recorded; "
            "use ops.where, or compile(run_eagerly=True)"
        )
    return bool(value)


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """`true_fn()` or `false_fn()`.

    While a function is recorded both are, and `where` picks; otherwise only the chosen one is called.
    """
    if isinstance(pred, _core.Tensor) and context.is_tracing() and not pred.is_realised:
        pred = pred.astype("bool")
        return tree.map_structure(lambda a, b: apply("where", pred, a, b), true_fn(), false_fn())
    return true_fn() if bool(pred) else false_fn()


def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """Calls `body` as long as `cond` holds; both take the loop variables."""
    is_sequence = isinstance(loop_vars, (list, tuple))
    variables = tuple(loop_vars) if is_sequence else (loop_vars,)
    iteration = 0
    while (maximum_iterations is None or iteration < maximum_iterations) and _decide(
        cond(*variables), "while_loop"
    ):
        result = body(*variables)
        variables = tuple(result) if isinstance(result, (list, tuple)) else (result,)
        iteration += 1
    return variables if is_sequence else variables[0]


def fori_loop(lower: int, upper: int, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """`body_fun(i, value)` for each `i` from `lower` to `upper - 1`."""
    value = init_val
    for i in range(int(lower), int(upper)):
        value = body_fun(i, value)
    return value


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """`f` of each slice along axis 0, stacked."""
    count = tree.flatten(xs)[0].shape[0]
    results = [f(tree.map_structure(lambda x, i=i: as_tensor(x)[i], xs)) for i in range(count)]
    return tree.map_structure(lambda *parts: _core.apply("stack", list(parts), {"axis": 0}), *results)


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """`function` of each slice along axis 0, stacked."""
    return map(function, elements)


def custom_gradient(f: Callable[..., Any]) -> Any:
    """Raises NotImplementedError: gradients come from the graph of the forward computation."""
    raise NotImplementedError(
        "ops.custom_gradient: gradients come from the graph. For the value of x with the gradient of y, "
        "write y + ops.stop_gradient(x - y)."
    )
