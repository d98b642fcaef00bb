"""Conversion, shapes and control flow."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs import _core, symbolic, tree
from cnnrs.base import context
from cnnrs.base.arguments import integer, integers, named
from cnnrs.base.dtypes import FLOATS, INTEGERS, largest, limits, standardize_dtype
from cnnrs.ops.dispatch import apply, as_tensor, op, standardize_axis

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
        Tensor of the shape of `x`. Arrays keep their dtype; Python's numbers, and lists of them, become float32, int32
        and bool.

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
    return x.numpy() if isinstance(x, (_core.Tensor, _core.Variable)) else np.asarray(x)


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
        dtype: The type: "float32", "float64", "float16", "bfloat16", "bool", or an integer type such as "int32" or
            "uint8"; a numpy type of such a name, or Python's `float`, `int` or `bool`: float32, int32 and bool.
            None means float32.

    Returns:
        Tensor of the shape of `x`. Floats are rounded to the nearest one of fewer bits, ties to even, and
        become infinite beyond their range. Floats are cut towards 0 for integers; everything but 0 is true
        for bool. Integers wrap around beyond the range of their type. Floats that an integer type cannot hold, NaN
        among them, give arbitrary numbers: `saturate_cast` gives the nearest.

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
    if dtype == x.dtype or "bool" in (dtype, x.dtype) or (dtype in FLOATS and x.dtype not in FLOATS):
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


@op
def slice(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """Cuts a block out of a tensor.

    Args:
        inputs: Tensor of any shape and dtype.
        start_indices: Where the block starts: one integer >= 0 for each axis. Axes left out at the end stay
            whole.
        shape: The extents of the block, one integer >= 0 for each start.

    Returns:
        Tensor of the dtype of `inputs`.

    Raises:
        TypeError: `inputs` is not numeric.
        ValueError: `start_indices` or `shape` holds something other than integers >= 0, they differ in length
            or name more axes than there are, or the block does not lie within the tensor.

    Example:
        >>> from cnnrs import ops
        >>> x = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
        >>> ops.slice(x, (1, 0), (2, 2)).tolist()
        [[4, 5], [7, 8]]
    """
    inputs = as_tensor(inputs)
    starts = integers(start_indices, "slice", "start_indices", least=0)
    extents = integers(shape, "slice", "shape", least=0)
    if not len(starts) == len(extents) <= inputs.ndim:
        raise ValueError(
            f"slice: start_indices, shape: expected at most {inputs.ndim} integers each, as many in both, "
            f"received {start_indices} and {shape}"
        )
    stops = [start + extent for start, extent in zip(starts, extents, strict=True)]
    if any(stop > extent for stop, extent in zip(stops, inputs.shape, strict=False)):
        raise ValueError(
            f"slice: shape: expected a block within shape {inputs.shape}, "
            f"received {shape} from {start_indices} on"
        )
    return apply("slice", inputs, starts=starts, stops=stops, steps=[1] * len(starts))


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


def _decide(value: Any, name: str) -> bool:
    if isinstance(value, _core.Tensor) and context.is_tracing() and not value.is_realised:
        raise RuntimeError(
            f"{name}: the condition depends on values that are not known while a function is recorded; "
            "use ops.where, or compile(run_eagerly=True)"
        )
    return bool(value)


@named
def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """Calls one of two functions, as a condition says.

    While a function is recorded, a tensor that depends on its arguments has no value. Then both functions are
    called, and `where` picks between what they return, which needs to have the same structure.

    Args:
        pred: The condition: a Python value, or a tensor of one element.
        true_fn: Function without arguments that is called if the condition holds.
        false_fn: Function without arguments that is called otherwise.

    Returns:
        What the chosen function returns.

    Raises:
        TypeError: `pred` is symbolic or has several elements, or the function cannot be called without
            arguments.

    Example:
        >>> from cnnrs import ops
        >>> x = ops.array(-3.0)
        >>> float(ops.cond(x < 0, lambda: -x, lambda: x))
        3.0
    """
    if isinstance(pred, _core.Tensor) and context.is_tracing() and not pred.is_realised:
        pred = pred.astype("bool")
        return tree.map_structure(lambda a, b: apply("where", pred, a, b), true_fn(), false_fn())
    return true_fn() if bool(pred) else false_fn()


@named
def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """Repeats a function of the loop variables as long as a condition of them holds.

    The loop runs in Python, and gradients flow through what it does with tensors.

    Args:
        cond: Function of the loop variables that returns the condition: a Python value, or a tensor of one
            element.
        body: Function of the loop variables that returns their next values.
        loop_vars: First values: a list or tuple of them, or a single one.
        maximum_iterations: The most repetitions, an integer; None, the default, for no limit.

    Returns:
        The last values, as a tuple, or a single one if `loop_vars` is neither a list nor a tuple.

    Raises:
        TypeError: The condition is symbolic or has several elements, or a function cannot be called with the
            variables.
        ValueError: `maximum_iterations` is no integer.
        RuntimeError: A function is being recorded, and the condition depends on values that are not known
            yet.

    Example:
        >>> from cnnrs import ops
        >>> i, total = ops.while_loop(lambda i, s: i < 5, lambda i, s: (i + 1, s + i), (0, 0))
        >>> i, total
        (5, 10)
    """
    is_sequence = isinstance(loop_vars, (list, tuple))
    variables = tuple(loop_vars) if is_sequence else (loop_vars,)
    if maximum_iterations is not None:
        maximum_iterations = integer(maximum_iterations, "while_loop", "maximum_iterations")
    iteration = 0
    while (maximum_iterations is None or iteration < maximum_iterations) and _decide(
        cond(*variables), "while_loop"
    ):
        result = body(*variables)
        variables = tuple(result) if isinstance(result, (list, tuple)) else (result,)
        iteration += 1
    return variables if is_sequence else variables[0]


@named
def fori_loop(lower: int, upper: int, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """Calls a function for each integer of a range, and hands a value from call to call.

    The loop runs in Python, and gradients flow through what it does with tensors.

    Args:
        lower: The first integer.
        upper: The bound, an integer, which is not reached.
        body_fun: Function of the integer and the value that returns the next value.
        init_val: The first value.

    Returns:
        The last value; `init_val` if the range is empty.

    Raises:
        TypeError: `body_fun` cannot be called with two arguments.
        ValueError: A bound is no integer.

    Example:
        >>> from cnnrs import ops
        >>> ops.fori_loop(1, 5, lambda i, product: product * i, 1)
        24
    """
    value = init_val
    for i in range(integer(lower, "fori_loop", "lower"), integer(upper, "fori_loop", "upper")):
        value = body_fun(i, value)
    return value


@named
def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """Applies a function to each slice along axis 0 and stacks what it returns.

    The calls run one after the other in Python; a function that takes whole tensors is faster.

    Args:
        f: Function of a slice, or of a structure of slices, that returns a tensor or a structure of them.
        xs: Tensor, or a nested structure of tensors and arrays with the same extent along axis 0, at least 1.
            Nested lists of nothing but numbers are one tensor.

    Returns:
        What `f` returns, with the results of all slices stacked along a new axis 0.

    Raises:
        TypeError: `xs` is not numeric, or `f` cannot be called with one argument.
        ValueError: A tensor has no axis or another extent than the first, the extent is 0, or `f` returns
            tensors of different shapes.

    Example:
        >>> from cnnrs import ops
        >>> ops.map(lambda row: ops.sum(row), ops.array([[1, 2], [3, 4]])).tolist()
        [3, 7]
    """
    return _map("map", f, xs)


def _map(name: str, f: Callable[[Any], Any], xs: Any) -> Any:
    leaves = tree.flatten(xs)
    if isinstance(xs, (list, tuple)) and not any(hasattr(leaf, "shape") for leaf in leaves):
        xs, leaves = as_tensor(xs), [as_tensor(xs)]
    shapes = [np.shape(leaf) for leaf in leaves]
    if not shapes or any(len(shape) == 0 or shape[0] != shapes[0][0] for shape in shapes):
        raise ValueError(f"{name}: expected tensors of one extent along axis 0, received shapes {shapes}")
    if shapes[0][0] == 0:
        raise ValueError(f"{name}: expected at least one slice along axis 0, received shape {shapes[0]}")
    results = [f(tree.map_structure(lambda x, i=i: as_tensor(x)[i], xs)) for i in range(shapes[0][0])]
    return tree.map_structure(lambda *parts: _core.apply("stack", list(parts), {"axis": 0}), *results)


@named
def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """Applies a function to each slice along axis 0 and stacks what it returns, as `map` does.

    The calls run one after the other in Python; a function that takes whole tensors is faster.

    Args:
        function: Function of a slice, or of a structure of slices, that returns a tensor or a structure of
            them.
        elements: Tensor, or a nested structure of tensors and arrays with the same extent along axis 0, at
            least 1. Nested lists of nothing but numbers are one tensor.

    Returns:
        What `function` returns, with the results of all slices stacked along a new axis 0.

    Raises:
        TypeError: `elements` is not numeric, or `function` cannot be called with one argument.
        ValueError: A tensor has no axis or another extent than the first, the extent is 0, or `function`
            returns tensors of different shapes.

    Example:
        >>> from cnnrs import ops
        >>> pair = (ops.array([1, 2]), ops.array([10, 20]))
        >>> ops.vectorized_map(lambda elements: elements[0] + elements[1], pair).tolist()
        [11, 22]
    """
    return _map("vectorized_map", function, elements)


@named
def custom_gradient(f: Callable[..., Any]) -> Any:
    """Refuses to attach a gradient to a function: gradients come from the graph of what it computes.

    Args:
        f: The function.

    Returns:
        Nothing: it always raises.

    Raises:
        NotImplementedError: Always. The value of `x` with the gradient of `y` is `y + stop_gradient(x - y)`.

    Example:
        >>> import cnnrs
        >>> from cnnrs import ops
        >>> def rounded_with_gradient_1(x):
        ...     return x + ops.stop_gradient(ops.round(x) - x)
        >>> float(rounded_with_gradient_1(ops.array(2.7))), float(cnnrs.grad(rounded_with_gradient_1)(2.7))
        (3.0, 1.0)
    """
    raise NotImplementedError(
        "ops.custom_gradient: gradients come from the graph. For the value of x with the gradient of y, "
        "write y + ops.stop_gradient(x - y)."
    )
