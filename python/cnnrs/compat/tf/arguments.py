"""How functions of the bridge read their arguments: tensors as TensorFlow makes them, extents as integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import _core, ops
from cnnrs.base.dtypes import FLOATS, INTEGERS, is_number, result_type
from cnnrs.ops.dispatch import as_tensor, standardize_axis

__all__ = ["alike", "as_float", "axis_of", "boolean", "extents", "integer", "numbers", "of_dtype", "tensor"]


def tensor(x: Any, dtype: Any = None) -> Any:
    """`x` as a tensor: arrays keep their dtype, numbers of Python become float32, int32 and bool."""
    made = as_tensor(x)
    return made if dtype is None or made.dtype == dtype else ops.cast(made, dtype)


def of_dtype(x: Any, dtype: str, function: str) -> Any:
    """`x` in a dtype, which tensors must have; numbers and arrays may be converted to it.

    Raises:
        TypeError: A tensor has another one, or the numbers are of another kind.
    """
    if isinstance(x, (_core.Tensor, _core.Variable)):
        if x.dtype != dtype:
            raise TypeError(
                f"tf.{function}: expected a tensor of {dtype!s}, received one of {x.dtype!s}; tf.cast it"
            )
        return as_tensor(x)
    if isinstance(x, (int, float)) and not (isinstance(x, float) and dtype in INTEGERS) and dtype != "bool":
        return _core.tensor(x, dtype)
    made = as_tensor(x)
    # A list of nothing holds no numbers of another kind.
    if made.dtype == dtype or (isinstance(x, (list, tuple)) and not made.size):
        return made if made.dtype == dtype else ops.cast(made, dtype)
    if _kind(made.dtype) == "bool" or dtype == "bool" or (dtype in INTEGERS and made.dtype in FLOATS):
        raise TypeError(f"tf.{function}: expected {dtype!s}, received {made.dtype!s}; tf.cast it")
    return ops.cast(made, dtype)


def _kind(dtype: str) -> str:
    return "float" if dtype in FLOATS else "integer" if dtype in INTEGERS else "bool"


def _holds_tensor(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return any(_holds_tensor(item) for item in x)
    return isinstance(x, (_core.Tensor, _core.Variable))


def alike(function: str, *xs: Any) -> list[Any]:
    """Arguments as tensors of one dtype, as TensorFlow finds it.

    Numbers, lists and arrays take the dtype of the tensors beside them. Floats, integers and bools do not
    meet; within a kind, the wider type holds what both hold.

    Raises:
        TypeError: Tensors of floats meet tensors of integers, or numbers do not fit the dtype.
    """
    made: list[Any] = [as_tensor(x) if _holds_tensor(x) else None for x in xs]
    dtypes = [x.dtype for x in made if x is not None]
    if not dtypes:
        arrays = [x.dtype.name for x in xs if isinstance(x, (np.ndarray, np.generic)) and is_number(x)]
        dtypes = arrays[:1] or [as_tensor(x).dtype for x in xs]
        if not arrays and len({*map(_kind, dtypes)}) > 1 and "bool" not in dtypes:
            dtypes = [dtype for dtype in dtypes if dtype in FLOATS]
    if len({*map(_kind, dtypes)}) > 1:
        names = " and ".join(dict.fromkeys(str(dtype) for dtype in dtypes))
        raise TypeError(
            f"tf.{function}: expected tensors of one dtype, received {names}; tf.cast one of them"
        )
    dtype = dtypes[0] if len({*dtypes}) == 1 else result_type(*dtypes)
    return [
        of_dtype(x, dtype, function) if m is None else m if m.dtype == dtype else ops.cast(m, dtype)
        for x, m in zip(xs, made, strict=True)
    ]


def as_float(x: Any, function: str) -> Any:
    """`x` as a tensor of floats; a number or list of integers becomes one.

    Raises:
        TypeError: It is a tensor or an array of others.
    """
    made = as_tensor(x)
    if made.dtype in FLOATS:
        return made
    if hasattr(x, "dtype"):
        raise TypeError(
            f"tf.{function}: expected a tensor of floats, received one of {made.dtype!s}; tf.cast it"
        )
    return ops.cast(made, "float32")


def integer(x: Any, function: str, argument: str) -> int:
    """`x`, a number or a tensor that holds one, as a Python integer.

    Raises:
        TypeError: It is none.
    """
    if isinstance(x, np.ndarray) and x.size == 1 and x.dtype.kind in "iu":
        return int(x.item())
    if isinstance(x, (_core.Tensor, _core.Variable)) and x.size == 1 and x.dtype in INTEGERS:
        return int(x.numpy().item())
    try:
        return int(x.__index__())
    except (AttributeError, TypeError):
        raise TypeError(f"tf.{function}: {argument}: expected an integer, received {x!r}") from None


def numbers(x: Any, function: str, argument: str) -> list[int]:
    """`x`, an integer or a nested list, array or tensor of them, as a flat list of Python integers."""
    if isinstance(x, (_core.Tensor, _core.Variable)):
        x = x.numpy()
    if isinstance(x, np.ndarray):
        if x.dtype.kind not in "iu" and x.size:
            raise TypeError(f"tf.{function}: {argument}: expected integers, received {x!r}")
        return [int(n) for n in x.reshape(-1)]
    if isinstance(x, (list, tuple)):
        return [n for item in x for n in numbers(item, function, argument)]
    return [integer(x, function, argument)]


def extents(shape: Any, function: str, argument: str = "shape") -> list[int]:
    """A shape as a list of Python integers."""
    return numbers(shape, function, argument)


def axis_of(axis: Any, rank: int, function: str, argument: str = "axis") -> int:
    """An axis counted from 0."""
    return standardize_axis(integer(axis, function, argument), rank, f"tf.{function}: {argument}")


def boolean(x: Any, function: str, argument: str) -> bool:
    """`x` as True or False.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(x, (bool, np.bool_)):
        return bool(x)
    raise TypeError(f"tf.{function}: {argument}: expected True or False, received {x!r}")
