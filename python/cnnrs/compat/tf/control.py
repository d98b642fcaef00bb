"""Branches, loops and functions mapped over tensors.

Outside of recorded functions they run Python, with values; inside, what depends on values is recorded.

>>> import cnnrs.compat.tf as tf
>>> tf.map_fn(lambda row: tf.reduce_sum(row), tf.ones((3, 2))).numpy().tolist()
[2.0, 2.0, 2.0]
>>> tf.while_loop(lambda i, s: i < 4, lambda i, s: (i + 1, s + i), (0, 0))[1].numpy().item()
6
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs import _core, ops, tree
from cnnrs.compat.tf.arguments import boolean, integer, tensor
from cnnrs.compat.tf.dtypes import as_dtype

__all__ = ["case", "cond", "foldl", "foldr", "map_fn", "scan", "switch_case", "vectorized_map", "while_loop"]


def _value(x: Any) -> Any:
    """A value, or None while it is not known."""
    try:
        return np.asarray(x).item()
    except (_core.TracedValueError, ValueError):
        return None


def _callable(function: Any, owner: str, argument: str) -> Callable[..., Any]:
    if not callable(function):
        raise TypeError(f"tf.{owner}: {argument}: expected a function, received {function!r}")
    return function


def cond(pred: Any, true_fn: Any = None, false_fn: Any = None, name: str | None = None) -> Any:
    """What one function gives if a condition holds, else the other.

    Args:
        pred: A bool, or a tensor of one.
        true_fn: Function without arguments.
        false_fn: Function without arguments, that gives the same structure.
        name: What begins the message of an error.
    """
    owner = name or "cond"
    _callable(true_fn, owner, "true_fn")
    _callable(false_fn, owner, "false_fn")
    holds = _value(pred)
    if holds is None:
        return ops.cond(pred, true_fn, false_fn)
    return true_fn() if holds else false_fn()


def case(
    pred_fn_pairs: Any, default: Any = None, exclusive: bool = False, strict: bool = False, name: str = "case"
) -> Any:
    """What the function of the first condition that holds gives.

    Args:
        pred_fn_pairs: Pairs of a condition and a function without arguments.
        default: Function if none holds; the last function of the pairs if None.
        exclusive: Whether two that hold are an error.
        strict: Whether a result of one element in a list stays in it.
        name: What begins the message of an error.
    """
    pairs = list(pred_fn_pairs)
    if exclusive and sum(bool(_value(p)) for p, _ in pairs) > 1:
        raise ValueError(f"{name}: expected at most one condition that holds")
    otherwise = default if default is not None else pairs[-1][1]
    result: Any = otherwise
    for pred, function in reversed(pairs):
        result = (lambda p, f, rest: lambda: cond(p, f, rest, name))(pred, function, result)
    found = result()
    single = isinstance(found, (list, tuple)) and len(found) == 1 and not boolean(strict, "case", "strict")
    return found[0] if single else found


def switch_case(branch_index: Any, branch_fns: Any, default: Any = None, name: str = "switch_case") -> Any:
    """What the function with a number gives.

    Args:
        branch_index: An integer.
        branch_fns: Functions in order, a dict of them, or pairs of number and function.
        default: Function for other numbers; the one with the greatest number if None.
        name: What begins the message of an error.
    """
    if isinstance(branch_fns, dict):
        branches = {int(i): f for i, f in branch_fns.items()}
    elif branch_fns and isinstance(branch_fns[0], tuple):
        branches = {int(i): f for i, f in branch_fns}
    else:
        branches = dict(enumerate(branch_fns))
    for function in branches.values():
        _callable(function, name, "branch_fns")
    otherwise = default or branches[max(branches)]
    index = _value(branch_index)
    if index is not None:
        return branches.get(int(index), otherwise)()
    pairs = [(ops.equal(branch_index, i), f) for i, f in branches.items()]
    return case(pairs, otherwise, name=name)


def _hints(function: str, parallel_iterations: Any, swap_memory: Any) -> None:
    """Checks what only advises TensorFlow's scheduler: plans order their steps themselves."""
    if parallel_iterations is not None and integer(parallel_iterations, function, "parallel_iterations") < 1:
        raise ValueError(
            f"tf.{function}: parallel_iterations: expected at least 1, received {parallel_iterations}"
        )
    boolean(swap_memory, function, "swap_memory")


def _without_gradient(result: Any, back_prop: Any, function: str) -> Any:
    if boolean(back_prop, function, "back_prop"):
        return result
    return tree.map_structure(ops.stop_gradient, result)


def while_loop(
    cond: Any,
    body: Any,
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    maximum_iterations: Any = None,
    name: str | None = None,
) -> Any:
    """Applies a function to variables as long as a condition of them holds.

    Args:
        cond: Function of the variables that gives a bool.
        body: Function of the variables that gives the next ones.
        loop_vars: The first variables, nested or not.
        shape_invariants: Shapes that variables must keep to, in their structure; None for any.
        parallel_iterations: Advice to TensorFlow; plans order their steps themselves.
        back_prop: Whether gradients flow through the result.
        swap_memory: Advice to TensorFlow.
        maximum_iterations: The most steps.
        name: What begins the message of an error.

    Returns:
        The last variables, in the structure of the first.
    """
    owner = name or "while_loop"
    _hints("while_loop", parallel_iterations, swap_memory)
    _callable(cond, owner, "cond")
    _callable(body, owner, "body")
    most = None if maximum_iterations is None else integer(maximum_iterations, owner, "maximum_iterations")
    variables = tree.map_structure(tensor, loop_vars)
    single = not isinstance(variables, (list, tuple))
    steps = 0
    while most is None or steps < most:
        holds = _value(cond(*([variables] if single else variables)))
        if holds is None:
            recorded = ops.while_loop(cond, body, variables, None if most is None else most - steps)
            return _without_gradient(recorded, back_prop, "while_loop")
        if not holds:
            break
        given = body(*([variables] if single else variables))
        given = [given] if not single and not isinstance(given, (list, tuple)) else given
        if not single and isinstance(given, (list, tuple)):
            given = type(variables)(given) if not hasattr(variables, "_fields") else type(variables)(*given)
        variables = tree.map_structure(tensor, given)
        _check_shapes(shape_invariants, variables, owner)
        steps += 1
    return _without_gradient(variables, back_prop, "while_loop")


def _check_shapes(shapes: Any, variables: Any, owner: str) -> None:
    if shapes is None:
        return
    from cnnrs.compat.tf.shapes import TensorShape

    allowed = (
        shapes if isinstance(shapes, (list, tuple)) and not isinstance(shapes, TensorShape) else [shapes]
    )
    for shape, x in zip(allowed, tree.flatten(variables), strict=True):
        found = getattr(shape, "shape", shape)
        if not TensorShape(found).is_compatible_with(x.shape):
            raise ValueError(
                f"{owner}: expected a variable of shape {tuple(found)}, received {tuple(x.shape)}"
            )


def _elements(elems: Any, owner: str) -> list[Any]:
    """The slices along the first axis of each tensor of a structure."""
    made = tree.map_structure(tensor, elems)
    lengths = {x.shape[0] if x.ndim else None for x in tree.flatten(made)}
    if len(lengths) != 1 or None in lengths:
        raise ValueError(f"tf.{owner}: elems: expected tensors with as many slices each, received {lengths}")
    parts = tree.map_structure(lambda x: list(ops.unstack(x, axis=0)) if x.shape[0] else [], made)
    many: int = lengths.pop()  # type: ignore[assignment]  # None is among what was refused
    return [_part(made, parts, i) for i in range(many)]


def _part(structure: Any, parts: Any, i: int) -> Any:
    """The i-th slice of each tensor, in the structure."""
    if isinstance(structure, dict):
        return {key: _part(value, parts[key], i) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        items = [_part(value, part, i) for value, part in zip(structure, parts, strict=True)]
        return type(structure)(*items) if hasattr(structure, "_fields") else type(structure)(items)
    return parts[i]


def _stacked(results: list[Any], signature: Any, owner: str) -> Any:
    """Results stacked along a new first axis, of the dtypes that were announced."""
    if not results:
        raise ValueError(f"tf.{owner}: elems: expected at least one slice")
    whole = tree.map_structure(lambda *xs: ops.stack([tensor(x) for x in xs], axis=0), *results)
    if signature is not None:
        given = tree.flatten(signature) if not isinstance(signature, str) else [signature]
        for announced, x in zip(given, tree.flatten(whole), strict=True):
            if x.dtype != as_dtype(announced):
                raise TypeError(
                    f"tf.{owner}: expected {as_dtype(announced).name} from fn, received {x.dtype.name}"
                )
    return whole


def map_fn(
    fn: Any,
    elems: Any,
    dtype: Any = None,
    parallel_iterations: Any = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
    fn_output_signature: Any = None,
) -> Any:
    """A function of each slice along the first axis, its results stacked.

    Args:
        fn: Function of a slice, or of a structure of slices.
        elems: Tensors, nested or not, with as many slices each.
        dtype: The dtypes of the results; the older name of `fn_output_signature`.
        parallel_iterations: Advice to TensorFlow; plans order their steps themselves.
        back_prop: Whether gradients flow through the result.
        swap_memory: Advice to TensorFlow.
        infer_shape: True; results have one shape.
        name: What begins the message of an error.
        fn_output_signature: The dtypes of the results, or specs; None for those of `elems`.
    """
    owner = name or "map_fn"
    _hints("map_fn", parallel_iterations, swap_memory)
    _callable(fn, owner, "fn")
    if not infer_shape:
        raise ValueError("tf.map_fn: infer_shape: expected True; results are stacked, and have one shape")
    signature = fn_output_signature if fn_output_signature is not None else dtype
    results = [fn(x) for x in _elements(elems, owner)]
    return _without_gradient(_stacked(results, signature, owner), back_prop, "map_fn")


def vectorized_map(fn: Any, elems: Any, fallback_to_while_loop: bool = True, warn: bool = True) -> Any:
    """A function of each slice along the first axis, its results stacked.

    Args:
        fn: Function of a slice, or of a structure of slices.
        elems: Tensors, nested or not, with as many slices each.
        fallback_to_while_loop: Either; the slices are recorded one by one, and fused.
        warn: Either; there is nothing to warn of.
    """
    boolean(fallback_to_while_loop, "vectorized_map", "fallback_to_while_loop")
    boolean(warn, "vectorized_map", "warn")
    results = [_callable(fn, "vectorized_map", "fn")(x) for x in _elements(elems, "vectorized_map")]
    return _stacked(results, None, "vectorized_map")


def _folded(fn: Any, elems: Any, initializer: Any, reverse: bool, owner: str) -> list[Any]:
    """Each value of `acc = fn(acc, slice)`."""
    parts = _elements(elems, owner)
    parts = parts[::-1] if reverse else parts
    if initializer is None:
        first, parts = parts[0], parts[1:]
        values = [first]
    else:
        first, values = tree.map_structure(tensor, initializer), []
    for part in parts:
        first = fn(first, part)
        values.append(first)
    return values


def scan(
    fn: Any,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """All values of `value = fn(value, slice)`, over the slices along the first axis, stacked.

    Args:
        fn: Function of the value so far and of a slice.
        elems: Tensors, nested or not, with as many slices each.
        initializer: The first value; None for the first slice.
        parallel_iterations: Advice to TensorFlow.
        back_prop: Whether gradients flow through the result.
        swap_memory: Advice to TensorFlow.
        infer_shape: True; values have one shape.
        reverse: Whether to begin with the last slice.
        name: What begins the message of an error.
    """
    owner = name or "scan"
    _hints("scan", parallel_iterations, swap_memory)
    if not infer_shape:
        raise ValueError("tf.scan: infer_shape: expected True; values are stacked, and have one shape")
    backwards = boolean(reverse, "scan", "reverse")
    values = _folded(_callable(fn, owner, "fn"), elems, initializer, backwards, owner)
    return _without_gradient(_stacked(values[::-1] if backwards else values, None, owner), back_prop, "scan")


def foldl(
    fn: Any,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """The last value of `value = fn(value, slice)`, from the first on; arguments are those of `scan`."""
    owner = name or "foldl"
    _hints("foldl", parallel_iterations, swap_memory)
    values = _folded(_callable(fn, owner, "fn"), elems, initializer, False, owner)
    return _without_gradient(values[-1] if values else initializer, back_prop, "foldl")


def foldr(
    fn: Any,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """The last value of `value = fn(value, slice)`, from the last on; arguments are those of `scan`."""
    owner = name or "foldr"
    _hints("foldr", parallel_iterations, swap_memory)
    values = _folded(_callable(fn, owner, "fn"), elems, initializer, True, owner)
    return _without_gradient(values[-1] if values else initializer, back_prop, "foldr")
