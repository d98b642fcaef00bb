"""The functions of `keras.backend` that Keras 2 had, over `cnnrs.ops`: `tf.keras.backend` has them yet.

New code calls `cnnrs.ops` and `cnnrs.random`.

>>> from cnnrs import backend as K
>>> K.std([[1.0, 3.0]], axis=1).tolist(), K.get_value(K.variable([1.0, 2.0])).tolist()
([1.0], [1.0, 2.0])
>>> K.int_shape(K.batch_flatten(K.zeros((2, 3, 4))))
(2, 12)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops, random
from cnnrs.config import epsilon
from cnnrs.variables import Variable

__all__ = [
    "abs",
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "batch_flatten",
    "batch_get_value",
    "batch_set_value",
    "binary_crossentropy",
    "cast",
    "cast_to_floatx",
    "categorical_crossentropy",
    "clip",
    "concatenate",
    "constant",
    "cos",
    "count_params",
    "ctc_batch_cost",
    "ctc_decode",
    "cumprod",
    "cumsum",
    "dot",
    "dropout",
    "dtype",
    "elu",
    "equal",
    "eval",
    "exp",
    "expand_dims",
    "eye",
    "flatten",
    "gather",
    "get_value",
    "greater",
    "greater_equal",
    "hard_sigmoid",
    "int_shape",
    "is_sparse",
    "l2_normalize",
    "less",
    "less_equal",
    "log",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moving_average_update",
    "ndim",
    "not_equal",
    "one_hot",
    "ones",
    "ones_like",
    "permute_dimensions",
    "pow",
    "prod",
    "random_bernoulli",
    "random_normal",
    "random_uniform",
    "relu",
    "repeat",
    "repeat_elements",
    "reshape",
    "reverse",
    "round",
    "set_value",
    "shape",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "softplus",
    "softsign",
    "sparse_categorical_crossentropy",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "sum",
    "switch",
    "tanh",
    "tile",
    "transpose",
    "truncated_normal",
    "update",
    "update_add",
    "update_sub",
    "var",
    "variable",
    "zeros",
    "zeros_like",
]

# Those whose arguments stand as in `cnnrs.ops`.
abs, all, any, cast, cos, elu, equal, exp = (
    getattr(ops.nn if name == "elu" else ops, name)
    for name in ("abs", "all", "any", "cast", "cos", "elu", "equal", "exp")
)
greater, greater_equal, less, less_equal, log, max, maximum, mean, min, minimum = (
    getattr(ops, name)
    for name in "greater greater_equal less less_equal log max maximum mean min minimum".split()
)
not_equal, prod, round, sign, sin, sqrt, square, squeeze = (
    getattr(ops, name) for name in "not_equal prod round sign sin sqrt square squeeze".split()
)
stack, std, stop_gradient, sum, tanh, tile, transpose, var = (
    getattr(ops, name) for name in "stack std stop_gradient sum tanh tile transpose var".split()
)
ones_like, zeros_like, reshape, eye, ndim, dtype = (
    getattr(ops, name) for name in "ones_like zeros_like reshape eye ndim dtype".split()
)
sigmoid, hard_sigmoid, softplus, softsign = (
    getattr(ops.nn, name) for name in "sigmoid hard_sigmoid softplus softsign".split()
)
binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy = (
    getattr(ops.nn, f"{name}_crossentropy") for name in ("binary", "categorical", "sparse_categorical")
)
argmax = ops.argmax
argmin = ops.argmin


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: str = "int32") -> Any:
    """Numbers from `start` to `stop`, which is excluded."""
    return ops.arange(start, stop, step, dtype)


def softmax(x: Any, axis: int = -1) -> Any:
    """`ops.nn.softmax`."""
    return ops.nn.softmax(x, axis)


def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """The elements within bounds."""
    return ops.clip(x, min_value, max_value)


def concatenate(tensors: Any, axis: int = -1) -> Any:
    """Tensors one behind the other along an axis, the last by default."""
    return ops.concatenate(tensors, axis)


def expand_dims(x: Any, axis: int = -1) -> Any:
    """A new axis, the last by default."""
    return ops.expand_dims(x, axis)


def cumsum(x: Any, axis: int = 0) -> Any:
    """Running sums along an axis, the first by default."""
    return ops.cumsum(x, axis)


def cumprod(x: Any, axis: int = 0) -> Any:
    """Running products along an axis, the first by default."""
    return ops.cumprod(x, axis)


def pow(x: Any, a: Any) -> Any:
    """x to the power of a."""
    return ops.power(x, a)


def dot(x: Any, y: Any) -> Any:
    """The product over the last axis of `x` and the second to last of `y`."""
    return ops.dot(x, y)


def gather(reference: Any, indices: Any) -> Any:
    """The rows at indices."""
    return ops.take(reference, indices, axis=0)


def one_hot(indices: Any, num_classes: int) -> Any:
    """For each index a vector that is 1 there, else 0."""
    return ops.nn.one_hot(indices, num_classes)


def repeat(x: Any, n: int) -> Any:
    """Each row of a matrix n times, along a new axis in the middle."""
    return ops.repeat(ops.expand_dims(x, 1), n, axis=1)


def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Each slice along an axis so many times."""
    return ops.repeat(x, rep, axis=axis)


def reverse(x: Any, axes: Any) -> Any:
    """The slices along axes in reverse order."""
    return ops.flip(x, axes)


def permute_dimensions(x: Any, pattern: Any) -> Any:
    """The axes in another order."""
    return ops.transpose(x, pattern)


def flatten(x: Any) -> Any:
    """All elements along one axis."""
    return ops.reshape(x, (-1,))


def batch_flatten(x: Any) -> Any:
    """All elements of each sample along one axis."""
    return ops.reshape(x, (-1, int(np.prod([n for n in ops.shape(x)[1:] if n is not None]))))


def l2_normalize(x: Any, axis: Any = None) -> Any:
    """x / √max(Σx², 1e-12)."""
    x = ops.convert_to_tensor(x)
    return x * ops.nn.rsqrt(ops.maximum(ops.sum(ops.square(x), axis, keepdims=True), 1e-12))


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """x where it reaches the threshold, at most `max_value`; below `alpha` times what lacks."""
    x = ops.convert_to_tensor(x)
    above = x if max_value is None else ops.minimum(x, max_value)
    return (
        ops.where(x >= threshold, above, alpha * (x - threshold))
        if alpha or threshold
        else ops.maximum(above, 0.0)
    )


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two tensors, or of what two functions give, by a condition for all or for each element."""
    if callable(then_expression):
        return ops.cond(condition, then_expression, else_expression)
    then = ops.convert_to_tensor(then_expression)
    condition = ops.cast(condition, "bool")
    lacking = len(then.shape) - len(condition.shape)
    return ops.where(ops.reshape(condition, (*condition.shape, *[1] * lacking)), then, else_expression)


def dropout(x: Any, level: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """A part of the elements 0, the others larger."""
    return random.dropout(x, level, noise_shape=noise_shape, seed=seed)


def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Normally distributed numbers."""
    return random.normal(_extents(shape), mean, stddev, dtype, seed)


def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Uniformly distributed numbers."""
    return random.uniform(_extents(shape), minval, maxval, dtype, seed)


def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Normally distributed numbers within two standard deviations."""
    return random.truncated_normal(_extents(shape), mean, stddev, dtype, seed)


def random_bernoulli(shape: Any, p: float = 0.0, dtype: Any = None, seed: Any = None) -> Any:
    """Ones with probability p, else zeros."""
    return ops.cast(random.uniform(_extents(shape), seed=seed) < p, dtype or "float32")


def _extents(shape: Any) -> list[int]:
    """Extents as integers, which may be tensors."""
    return [int(n) for n in shape]


def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of zeros."""
    return variable(np.zeros(_extents(shape)), dtype or "float32", name)


def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of ones."""
    return variable(np.ones(_extents(shape)), dtype or "float32", name)


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Any:
    """A variable of a value, float32 by default."""
    made = Variable(value, dtype=dtype or "float32", name=name)
    made.constraint = constraint
    return made


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """A tensor of a value, float32 by default; `name` is a text or None."""
    if name is not None and not isinstance(name, str):
        raise TypeError(f"constant: name: expected text or None, received {name!r}")
    made = ops.convert_to_tensor(value, dtype or "float32")
    return made if shape is None else ops.broadcast_to(made, _extents(shape))


def cast_to_floatx(x: Any) -> Any:
    """Elements as float32: an array of an array, else a tensor."""
    return x.astype("float32") if isinstance(x, np.ndarray) else ops.cast(x, "float32")


def shape(x: Any) -> Any:
    """The extents of a tensor."""
    return ops.shape(x)


def int_shape(x: Any) -> Any:
    """The extents of a tensor as a tuple of integers, None where unknown."""
    return tuple(ops.shape(x))


def count_params(x: Any) -> int:
    """The number of elements."""
    return int(np.prod(tuple(x.shape)))


def is_sparse(tensor: Any) -> bool:
    """False: there are no sparse tensors."""
    return bool(getattr(tensor, "sparse", False))


def eval(x: Any) -> np.ndarray:
    """The values of a tensor."""
    return ops.convert_to_numpy(x)


def get_value(x: Any) -> Any:
    """The values of a variable; the number of a variable without axes."""
    return np.asarray(x) if hasattr(x, "shape") else x


def set_value(x: Any, value: Any) -> None:
    """Gives a variable another value."""
    x.assign(np.asarray(value))


def batch_get_value(tensors: Any) -> list[Any]:
    """The values of variables."""
    return [get_value(x) for x in tensors]


def batch_set_value(tuples: Any) -> None:
    """Gives variables other values, in pairs of both."""
    for x, value in tuples:
        set_value(x, value)


def update(x: Any, new_x: Any) -> Any:
    """Gives a variable another value."""
    return x.assign(new_x)


def update_add(x: Any, increment: Any) -> Any:
    """Adds to a variable."""
    return x.assign_add(increment)


def update_sub(x: Any, decrement: Any) -> Any:
    """Subtracts from a variable."""
    return x.assign_sub(decrement)


def moving_average_update(x: Any, value: Any, momentum: float) -> Any:
    """momentum · x + (1 - momentum) · value, in the place of x."""
    return x.assign(x * momentum + ops.convert_to_tensor(value) * (1 - momentum))


def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Any:
    """`ops.nn.ctc_loss` of probabilities whose last class is the blank; all but the batch of shape (n, 1)."""
    logits = ops.log(ops.convert_to_tensor(y_pred) + epsilon())
    steps, lengths = (ops.cast(ops.reshape(n, (-1,)), "int32") for n in (input_length, label_length))
    labels = ops.cast(y_true, "int32")
    return ops.expand_dims(ops.nn.ctc_loss(labels, logits, lengths, steps, logits.shape[-1] - 1), 1)


def ctc_decode(
    y_pred: Any, input_length: Any, greedy: bool = True, beam_width: int = 100, top_paths: int = 1
) -> tuple[list[Any], Any]:
    """`ops.nn.ctc_decode` of probabilities whose last class is the blank: labels and scores."""
    logits = ops.log(ops.convert_to_tensor(y_pred) + epsilon())
    strategy = "greedy" if greedy else "beam_search"
    labels, scores = ops.nn.ctc_decode(
        logits,
        ops.cast(ops.reshape(input_length, (-1,)), "int32"),
        strategy=strategy,
        beam_width=beam_width,
        top_paths=1 if greedy else top_paths,
        mask_index=logits.shape[-1] - 1,
    )
    return [ops.cast(path, "int64") for path in ops.unstack(labels, axis=0)], scores
