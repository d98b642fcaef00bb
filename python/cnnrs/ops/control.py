"""Control flow: loops, choices, functions over slices. It runs in Python, and is recorded as what it does."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.base.arguments import flag, integer, named
from cnnrs.ops.dispatch import apply, as_tensor, op, standardize_axis
from cnnrs.ops.symbols import op_of_shape, same_as
from cnnrs.ops.values import is_known

__all__ = [
    "associative_scan",
    "cond",
    "fori_loop",
    "map",
    "scan",
    "select",
    "switch",
    "vectorize",
    "vectorized_map",
    "while_loop",
]


def _decide(value: Any, name: str) -> bool:
    if not is_known(value):
        raise RuntimeError(
            f"{name}: the condition depends on values that are not known while a function is recorded; "
            "use ops.where, or compile(run_eagerly=True)"
        )
    return bool(value)


@op
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
    if not is_known(pred):
        pred = as_tensor(pred).astype("bool")
        return tree.map_structure(lambda a, b: apply("where", pred, a, b), true_fn(), false_fn())
    return true_fn() if bool(pred) else false_fn()


@op_of_shape(lambda cond, body, loop_vars, maximum_iterations=None: same_as(loop_vars))
def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """Repeats a function of the loop variables as long as a condition of them holds.

    The loop runs in Python, and gradients flow through what it does with tensors. It reads values: while a
    function is recorded, use `fori_loop`, or `compile(run_eagerly=True)`.

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


@op
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


@op
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


@op
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


@op
def switch(index: Any, branches: Any, *operands: Any) -> Any:
    """Calls one of several functions, as an index says.

    While a function is recorded, an index that depends on its arguments has no value. Then all functions are
    called, and what they return needs to have the same structure.

    Args:
        index: Which function, an integer or a tensor of one; the nearest one there is.
        branches: Sequence of functions.
        operands: What the function is called with.

    Returns:
        What the chosen function returns.

    Raises:
        TypeError: A function cannot be called with the operands.
        ValueError: There are no functions.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.switch(1, [ops.add, ops.subtract], ops.array(2.0), ops.array(0.5)))
        1.5
    """
    if not branches:
        raise ValueError("switch: branches: expected at least one function, received none")
    if is_known(index):
        values = int(index)
        return branches[builtins.max(0, builtins.min(values, len(branches) - 1))](*operands)
    index = as_tensor(index).astype("int32")
    result = branches[0](*operands)
    for i, branch in enumerate(branches[1:], 1):
        taken = apply("greater_equal", index, i)
        result = tree.map_structure(lambda a, b, t=taken: apply("where", t, b, a), result, branch(*operands))
    return result


def _length(xs: Any, length: Any, name: str) -> int:
    extents = [np.shape(leaf)[0] if np.ndim(leaf) else None for leaf in tree.flatten(xs)]
    if None in extents or len(set(extents)) > 1:
        raise ValueError(
            f"{name}: xs: expected tensors of one extent along axis 0, received extents {extents}"
        )
    if length is not None:
        length = integer(length, name, "length", least=0)
        if extents and extents[0] < length:
            raise ValueError(
                f"{name}: length: expected at most {extents[0]}, the extent of xs, received {length}"
            )
        return length
    if not extents:
        raise ValueError(f"{name}: Got no `xs` to scan over and `length` not provided: give one of them")
    return int(extents[0] or 0)


@op
def scan(
    f: Callable[[Any, Any], Any],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> Any:
    """Calls a function for each slice along axis 0, with a value that it hands from call to call.

    The loop runs in Python and is recorded as what its calls do, so that gradients flow through it.

    Args:
        f: Function of the value and a slice that returns the next value and an output, or None.
        init: The first value, or a nested structure of values.
        xs: Tensor, or a nested structure of tensors of one extent along axis 0; None for no slices.
        length: How many calls; None, the default, for the extent of `xs`.
        reverse: Whether the last slice comes first. Outputs stand where their slices do.
        unroll: An integer >= 1, or a bool. The loop is always unrolled, and the result the same.

    Returns:
        The last value, and the outputs stacked along a new axis 0.

    Raises:
        TypeError: `f` is no function.
        ValueError: There is neither `xs` nor `length`, extents differ, or `unroll` is no such number.

    Example:
        >>> from cnnrs import ops
        >>> total, sums = ops.scan(lambda s, x: (s + x, s + x), ops.array(0), ops.array([1, 2, 3]))
        >>> int(total), sums.tolist()
        (6, [1, 3, 6])
    """
    if not callable(f):
        raise TypeError(f"scan: f: `f` should be a callable: expected a function, received {f!r}")
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise ValueError(
            f"scan: unroll: `unroll` must be an positive integer or boolean, received {unroll!r}"
        )
    reverse = flag(reverse, "scan", "reverse")
    if xs is None and length is None:
        raise ValueError("scan: Got no `xs` to scan over and `length` not provided: give one of them")
    xs = tree.map_structure(as_tensor, xs) if xs is not None else None
    count = _length(xs, length, "scan") if xs is not None else integer(length, "scan", "length", least=0)
    value = tree.map_structure(as_tensor, init)
    outputs: list[Any] = []
    for i in reversed(range(count)) if reverse else range(count):
        value, output = f(value, None if xs is None else tree.map_structure(lambda x, i=i: x[i], xs))
        outputs.append(tree.map_structure(lambda x: apply("mul", x, 0), value) if output is None else output)
    if not outputs:
        return value, tree.map_structure(lambda x: apply("broadcast_to", x, shape=[0, *x.shape]), value)
    if reverse:
        outputs.reverse()
    stacked = tree.map_structure(lambda *parts: _core.apply("stack", list(parts), {"axis": 0}), *outputs)
    return value, stacked


@op
def associative_scan(f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """Combines each slice along an axis with all before it, by an associative function.

    The number of steps grows as the logarithm of the extent.

    Args:
        f: Associative function of two tensors, or of two structures of them, that returns such a one: it
            combines slices element by element.
        elems: Tensor, or a nested structure of tensors of one extent along the axis.
        reverse: Whether slices are combined with those behind them.
        axis: The axis, the first by default.

    Returns:
        Structure of `elems`.

    Raises:
        TypeError: `f` is no function, or `axis` is no integer.
        ValueError: `axis` is out of range, or extents differ.

    Example:
        >>> from cnnrs import ops
        >>> ops.associative_scan(lambda a, b: a * b, ops.array([1, 2, 3, 4])).tolist()
        [1, 2, 6, 24]
    """
    if not callable(f):
        raise TypeError(f"associative_scan: f: `f` should be a callable: expected a function, received {f!r}")
    reverse = flag(reverse, "associative_scan", "reverse")
    elems = tree.map_structure(as_tensor, elems)
    leaves = tree.flatten(elems)
    places = [standardize_axis(axis, leaf.ndim) for leaf in leaves]
    extents = [leaf.shape[place] for leaf, place in zip(leaves, places, strict=True)]
    if len(set(extents)) > 1:
        raise ValueError(
            "associative_scan: elems: Array inputs to associative_scan must have the same first dimension, "
            f"received extents {extents} along axis {axis}"
        )
    count = extents[0]

    def cut(structure: Any, start: int, stop: int) -> Any:
        def part(x: Any) -> Any:
            index: list[Any] = [builtins.slice(None)] * x.ndim
            index[standardize_axis(axis, x.ndim)] = builtins.slice(start, stop)
            return x[tuple(index)]

        return tree.map_structure(part, structure)

    # Doubling distances (Hillis and Steele, 1986): after each step a slice holds twice as many.
    distance = 1
    while distance < count:
        if reverse:
            # The function combines a slice with what stands before it in the order of the scan.
            inner = f(cut(elems, distance, count), cut(elems, 0, count - distance))
            ends = cut(elems, count - distance, count)
            pair = (inner, ends)
        else:
            inner = f(cut(elems, 0, count - distance), cut(elems, distance, count))
            pair = (cut(elems, 0, distance), inner)
        elems = tree.map_structure(
            lambda a, b: apply("concat", a, b, axis=standardize_axis(axis, a.ndim)), *pair
        )
        distance *= 2
    return elems


@op
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Takes each element from the first tensor whose condition holds there.

    Args:
        condlist: Sequence of bool tensors.
        choicelist: Sequence of as many tensors.
        default: What to take where no condition holds.

    Returns:
        Tensor of the broadcast shape and of the common dtype.

    Raises:
        TypeError: An argument is not numeric.
        ValueError: There are not as many choices as conditions, or none; or shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> x = ops.arange(6)
        >>> ops.select([x < 2, x > 3], [x, x * 10], -1).tolist()
        [0, 1, -1, -1, 40, 50]
    """
    if not isinstance(condlist, (list, tuple)) or not isinstance(choicelist, (list, tuple)):
        raise ValueError("select: condlist, choicelist: condlist and choicelist must be lists")
    if not condlist or not choicelist:
        raise ValueError("select: condlist, choicelist: condlist and choicelist must not be empty")
    if len(condlist) != len(choicelist):
        raise ValueError(
            f"select: expected as many choices as conditions, received {len(choicelist)} and {len(condlist)}"
        )
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = apply("where", as_tensor(condition).astype("bool"), choice, result)
    return result


@named
def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Any = None, signature: str | None = None
) -> Callable[..., Any]:
    """Makes a function of scalars one of tensors, whose shapes broadcast.

    The calls run one after the other in Python; a function that takes whole tensors is faster.

    Args:
        pyfunc: Function of tensors without axes, or of tensors of the axes that `signature` names.
        excluded: Set of positions of arguments that are handed on as they are.
        signature: Axes of the arguments and results of a call, such as "(m,n),(n)->(m)"; None, the default,
            for none.

    Returns:
        The function of tensors.

    Raises:
        ValueError: `pyfunc` is no function, or `signature` is not of that form.

    Example:
        >>> from cnnrs import ops
        >>> ops.vectorize(lambda a, b: a + 2 * b)([1, 2, 3], 10).tolist()
        [21, 22, 23]
    """
    if not callable(pyfunc):
        raise ValueError(
            f"vectorize: pyfunc: Expected argument `pyfunc` to be a callable, received {pyfunc!r}"
        )
    left_out = set(excluded or ())
    ranks = None if signature is None else _ranks(signature)

    def vectorized(*args: Any) -> Any:
        mapped = [i for i in range(len(args)) if i not in left_out]
        if ranks is not None and len(ranks) != len(mapped):
            raise ValueError(
                f"vectorize: expected {len(ranks)} arguments, as {signature} says, received {len(mapped)}"
            )
        tensors = {i: as_tensor(args[i]) for i in mapped}
        cores = {i: 0 if ranks is None else ranks[k] for k, i in enumerate(mapped)}
        shape = list(np.broadcast_shapes(*(t.shape[: t.ndim - cores[i]] for i, t in tensors.items())))
        count = int(np.prod(shape, dtype=np.int64))
        if count == 0:
            raise ValueError(
                f"vectorize: expected at least one element, received arguments of shape {tuple(shape)}"
            )
        flat = {}
        for i, t in tensors.items():
            core = list(t.shape[t.ndim - cores[i] :])
            flat[i] = apply("reshape", apply("broadcast_to", t, shape=[*shape, *core]), shape=[count, *core])
        results = [
            pyfunc(*(flat[i][k] if i in flat else args[i] for i in range(len(args)))) for k in range(count)
        ]

        def joined(*parts: Any) -> Any:
            stacked = _core.apply("stack", [as_tensor(part) for part in parts], {"axis": 0})
            return apply("reshape", stacked, shape=[*shape, *stacked.shape[1:]])

        return tree.map_structure(joined, *results)

    return op(vectorized)


def _ranks(signature: str) -> list[int]:
    import re

    axes = r"\(\s*(?:\w+\s*(?:,\s*\w+\s*)*)?\)"
    if not re.fullmatch(rf"\s*{axes}(\s*,\s*{axes})*\s*->\s*{axes}(\s*,\s*{axes})*\s*", signature):
        raise ValueError(
            f"vectorize: signature: expected a form such as '(m,n),(n)->(m)', received {signature!r}"
        )
    inputs = signature.split("->")[0]
    return [
        len([name for name in group.split(",") if name.strip()]) for group in re.findall(r"\((.*?)\)", inputs)
    ]
