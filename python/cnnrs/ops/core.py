"""Conversion and shapes."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from cnnrs import _core, symbolic, tree
from cnnrs.base.arguments import integers, named
from cnnrs.base.dtypes import FLOATS, INTEGERS, largest, limits, standardize_dtype
from cnnrs.ops.dispatch import apply, as_index, as_tensor, op, standardize_axis

__all__ = [
    "cast",
    "convert_to_numpy",
    "convert_to_tensor",
    "dtype",
    "is_tensor",
    "saturate_cast",
    "shape",
    "slice",
    "stop_gradient",
    "unstack",
]


@named
def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> Any:
    """Makes a tensor of the values of an array, a number, nested lists, a variable or a tensor.

    A tensor comes back as it is, if it has the dtype. What else is given is copied.

    Args:
        x: The values; a symbolic tensor is converted as `cast` does.
        dtype: Element type, as `cast` takes it; None, the default, keeps that of `x`.
        sparse: None or False; there are no sparse tensors.
        ragged: None or False; there are no ragged tensors.

    Returns:
        Tensor of the shape of `x`. Arrays keep their dtype; Python's numbers, and lists of them, become
        float32, int32 and bool.

    Raises:
        TypeError: `x` is not numeric, or `dtype` is no known type.
        ValueError: The lists are not of equal length, or `sparse` or `ragged` is true.
        OverflowError: An integer does not fit into int32.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> ops.convert_to_tensor([1, 2]).dtype, ops.convert_to_tensor(np.ones(3)).dtype
        ('int32', 'float64')
    """
    if sparse or ragged:
        raise ValueError("convert_to_tensor: sparse and ragged tensors are not supported; expected False")
    if isinstance(x, symbolic.KerasTensor):
        return x if dtype is None else cast(x, dtype)
    x = as_tensor(x)
    if dtype is not None and x.dtype != standardize_dtype(dtype):
        return x.astype(standardize_dtype(dtype))
    return x


@named
def convert_to_numpy(x: Any) -> np.ndarray:
    """Computes a tensor and copies its values into a numpy array.

    Args:
        x: Tensor, variable, or what numpy makes an array of.

    Returns:
        numpy array of the shape and dtype of `x`. What is no tensor takes the dtype that numpy gives it.

    Raises:
        TypeError: `x` is symbolic.
        ValueError: The lists are not of equal length.
        RuntimeError: A function is being recorded, and `x` has no value yet.

    Example:
        >>> from cnnrs import ops
        >>> ops.convert_to_numpy(ops.array([1, 2]))
        array([1, 2], dtype=int32)
    """
    return np.asarray(x.numpy()) if isinstance(x, (_core.Tensor, _core.Variable)) else np.asarray(x)


@named
def is_tensor(x: Any) -> bool:
    """Tells whether an object is a tensor or a symbolic tensor.

    Args:
        x: Any object.

    Returns:
        Python bool; False for variables and numpy arrays.

    Example:
        >>> import numpy as np
        >>> from cnnrs import Input, ops
        >>> ops.is_tensor(ops.ones(2)), ops.is_tensor(Input((2,))), ops.is_tensor(np.ones(2))
        (True, True, False)
    """
    return isinstance(x, (_core.Tensor, symbolic.KerasTensor))


@named
def shape(x: Any) -> tuple[int | None, ...]:
    """Gives the extents of a tensor, a symbolic tensor, an array or nested lists.

    Args:
        x: Whose shape to give.

    Returns:
        Tuple of Python integers, with None where a symbolic tensor does not know an extent.

    Raises:
        ValueError: The lists are not of equal length.

    Example:
        >>> from cnnrs import Input, ops
        >>> ops.shape(ops.zeros((2, 3))), ops.shape(Input((28, 28, 1)))
        ((2, 3), (None, 28, 28, 1))
    """
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


@named
def dtype(x: Any) -> str:
    """Names the element type of a tensor, or the one that values would have as a tensor.

    Args:
        x: Tensor, symbolic tensor, or what becomes a tensor.

    Returns:
        Text, such as "float32".

    Raises:
        TypeError: `x` is not numeric.
        ValueError: The lists are not of equal length.
        OverflowError: An integer does not fit into int32.

    Example:
        >>> from cnnrs import ops
        >>> ops.dtype(1.5), ops.dtype([1, 2]), ops.dtype(ops.array([True]))
        ('float32', 'int32', 'bool')
    """
    return standardize_dtype(x.dtype) if hasattr(x, "dtype") else as_tensor(x).dtype


@op
def cast(x: Any, dtype: Any) -> Any:
    """Converts a tensor to another element type.

    No gradient flows to integers and bools or from them.

    Args:
        x: Tensor of any shape and dtype.
        dtype: The type: "float32", "float64", "float16", "bfloat16", "bool", or an integer type such as
            "int32" or "uint8"; a numpy type of such a name, or Python's `float`, `int` or `bool`: float32,
            int32 and bool. None means float32.

    Returns:
        Tensor of the shape of `x`. Floats are rounded to the nearest one of fewer bits, ties to even, and
        become infinite beyond their range. Floats are cut towards 0 for integers; everything but 0 is true
        for bool. Integers wrap around beyond the range of their type. Floats that an integer type cannot
        hold, NaN among them, give arbitrary numbers: `saturate_cast` gives the nearest.

    Raises:
        TypeError: `x` is not numeric, or `dtype` is no known type.

    Example:
        >>> from cnnrs import ops
        >>> ops.cast([1.7, -1.7, 0.0], "int32").tolist(), ops.cast([1.7, -1.7, 0.0], "bool").tolist()
        ([1, -1, 0], [True, True, False])
    """
    dtype = standardize_dtype(dtype)
    x = as_tensor(x)
    return x if x.dtype == dtype else x.astype(dtype)


@op
def saturate_cast(x: Any, dtype: Any) -> Any:
    """Converts a tensor to another element type, with numbers out of range limited to it.

    Args:
        x: Tensor of any shape and dtype.
        dtype: The type, as `cast` takes it.

    Returns:
        Tensor of the shape of `x`. Floats beyond the range of float16 or bfloat16 become the largest
        of these types. NaN gives an arbitrary integer.

    Raises:
        TypeError: `x` is not numeric, or `dtype` is no known type.

    Example:
        >>> from cnnrs import ops
        >>> ops.saturate_cast([-5.0, 99.5, 300.0], "uint8").tolist()
        [0, 99, 255]
    """
    dtype = standardize_dtype(dtype)
    x = as_tensor(x)
    if dtype == x.dtype or "bool" in (dtype, x.dtype) or dtype == "float64":
        return x.astype(dtype)
    if dtype in FLOATS:
        limit = largest(dtype)
        return apply("minimum", apply("maximum", x, -limit), limit).astype(dtype)
    least, most = limits(dtype)
    if x.dtype in INTEGERS:
        low, high = limits(x.dtype)
        if low < least:
            x = apply("maximum", x, least)
        if high > most:
            x = apply("minimum", x, most)
        return x.astype(dtype)
    # The core holds floats within the range of integers of 32 bits and more; others wrap around.
    x = x if x.dtype == "float64" else x.astype("float32")
    if most < 2**16:
        x = apply("minimum", apply("maximum", x, float(least)), float(most))
    return x.astype(dtype)


def _slice_spec(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """The symbol of a block whose start is symbolic: "the rest" is unknown then."""
    if not isinstance(start_indices, symbolic.KerasTensor):
        return None
    extents = [None if n == -1 else n for n in integers(shape, "slice", "shape", least=-1)]
    return symbolic.KerasTensor([*extents, *inputs.shape[len(extents) :]], str(inputs.dtype))


@op
def slice(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """Cuts a block out of a tensor.

    Args:
        inputs: Tensor of any shape and dtype.
        start_indices: Where the block starts: one integer >= 0 for each axis, or a tensor of them. Axes left
            out at the end stay whole. The block is moved where a tensor would let it reach out of `inputs`.
        shape: The extents of the block, one integer >= 0 for each start; -1 for all that is behind the start.

    Returns:
        Tensor of the dtype of `inputs`.

    Raises:
        TypeError: `inputs` is not numeric.
        ValueError: `start_indices` or `shape` holds something other than such integers, they differ in length
            or name more axes than there are, or the block does not lie within the tensor.

    Example:
        >>> from cnnrs import ops
        >>> x = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
        >>> ops.slice(x, (1, 0), (2, 2)).tolist(), ops.slice(x, (1, 1), (-1, -1)).tolist()
        ([[4, 5], [7, 8]], [[5, 6], [8, 9]])
    """
    inputs = as_tensor(inputs)
    extents = integers(shape, "slice", "shape", least=-1)
    if any(isinstance(s, _core.Tensor) for s in (start_indices, *tree.flatten(start_indices))):
        return _moving_slice(inputs, start_indices, extents)
    starts = integers(start_indices, "slice", "start_indices", least=0)
    if not len(starts) == len(extents) <= inputs.ndim:
        raise ValueError(
            f"slice: start_indices, shape: expected at most {inputs.ndim} integers each, as many in both, "
            f"received {start_indices} and {shape}"
        )
    wholes = inputs.shape[: len(starts)]
    extents = [whole - s if n == -1 else n for n, s, whole in zip(extents, starts, wholes, strict=True)]
    stops = [start + extent for start, extent in zip(starts, extents, strict=True)]
    if (
        any(stop > extent for stop, extent in zip(stops, inputs.shape, strict=False))
        or min(extents, default=0) < 0
    ):
        raise ValueError(
            f"slice: shape: expected a block within shape {inputs.shape}, "
            f"received {shape} from {start_indices} on"
        )
    return apply("slice", inputs, starts=starts, stops=stops, steps=[1] * len(starts))


slice.output_spec = _slice_spec  # type: ignore[attr-defined]


def _moving_slice(x: Any, start_indices: Any, extents: list[int]) -> Any:
    """A block whose start is a tensor."""
    starts = (
        [as_index(s) for s in start_indices]
        if isinstance(start_indices, (list, tuple))
        else [as_index(start_indices)[i] for i in range(start_indices.shape[0])]
    )
    if not len(starts) == len(extents) <= x.ndim:
        raise ValueError(
            f"slice: start_indices, shape: expected at most {x.ndim} integers each, as many in both, "
            f"received {len(starts)} and {extents}"
        )
    if -1 in extents:
        raise ValueError("slice: shape: expected integers >= 0 beside a start that is a tensor, received -1")
    for axis, (start, extent) in enumerate(zip(starts, extents, strict=True)):
        if extent > x.shape[axis]:
            raise ValueError(f"slice: shape: expected a block within shape {x.shape}, received {extents}")
        start = apply("minimum", apply("maximum", start, 0), x.shape[axis] - extent)
        x = apply("gather", x, apply("add", np.arange(extent, dtype=np.int32), start), axis=axis)
    return x


@op
def stop_gradient(variable: Any) -> Any:
    """Gives the same values, through which no gradient flows.

    Args:
        variable: Tensor of any shape and dtype.

    Returns:
        Tensor of the shape and dtype of `variable`.

    Raises:
        TypeError: `variable` is not numeric.

    Example:
        >>> import cnnrs
        >>> from cnnrs import ops
        >>> x_times_constant_x = lambda x: x * ops.stop_gradient(x)
        >>> float(cnnrs.grad(x_times_constant_x)(3.0))
        3.0
    """
    return apply("stop_gradient", as_tensor(variable))


@op
def unstack(x: Any, num: int | None = None, axis: int = 0) -> Any:
    """Splits a tensor into its slices along an axis.

    Args:
        x: Tensor of at least one axis, of any dtype.
        num: The extent of the axis, if it is to be checked; None, the default, for no check.
        axis: The axis, which the slices do not have; the first by default.

    Returns:
        List of tensors of the dtype of `x`.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range, or `num` is not the extent of the axis.

    Example:
        >>> from cnnrs import ops
        >>> [column.tolist() for column in ops.unstack([[1, 2], [3, 4]], axis=1)]
        [[1, 3], [2, 4]]
    """
    x = as_tensor(x)
    axis = standardize_axis(axis, x.ndim)
    extent = x.shape[axis]
    if num is not None and num != extent:
        raise ValueError(f"unstack: num: expected {extent}, the extent of axis {axis}, received {num}")
    index: list[Any] = [builtins.slice(None)] * x.ndim
    parts = []
    for i in range(extent):
        index[axis] = i
        parts.append(x[tuple(index)])
    return parts
