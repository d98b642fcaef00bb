"""Functions that `tf.keras.backend` has beside those of Keras 3: `K.flatten`, `K.ctc_batch_cost`, more.

Scripts written for Keras 2 call them. `cnnrs.ops` has what takes their place; each is a few of its calls.

>>> from cnnrs import backend as K
>>> K.permute_dimensions(K.ones((2, 3, 4)), (0, 2, 1)).shape, K.int_shape(K.flatten(K.zeros((2, 3))))
((2, 4, 3), (6,))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnrs import config, ops, random
from cnnrs.base.arguments import named
from cnnrs.variables import Variable

# Functions of `cnnrs.ops` whose names, arguments and defaults are the same.
SAME = frozenset(
    """abs all any cast cos elu equal exp greater greater_equal hard_sigmoid less less_equal log max
    maximum mean min minimum ndim not_equal ones_like prod round shape sigmoid sign sin softmax
    softplus softsign sqrt square squeeze stack std stop_gradient sum tanh tile transpose var
    zeros_like""".split()
)

ABSENT = {
    "foldl foldr": "use ops.scan",
    "gradients": "use a GradientTape",
    "is_sparse to_dense ctc_label_dense_to_sparse": "there are no sparse tensors",
    "rnn": "use layers.RNN",
    "name_scope": "use cnnrs.name_scope",
    "conv1d conv2d conv3d conv2d_transpose depthwise_conv2d separable_conv2d": "ops has its convolutions",
    "pool2d pool3d": "use ops.max_pool and ops.average_pool",
    "spatial_2d_padding spatial_3d_padding temporal_padding": "use ops.pad",
    "resize_images resize_volumes": "use ops.image.resize",
    "binary_focal_crossentropy categorical_focal_crossentropy": "losses has them",
    "random_bernoulli": "use random.binomial",
    "placeholder": "use Input",
    "learning_phase set_learning_phase": "call layers with training=True or False",
    "set_session get_session function": "there are no sessions: functions compute what they are given",
}

__all__ = [
    "arange",
    "argmax",
    "argmin",
    "batch_dot",
    "batch_flatten",
    "batch_get_value",
    "batch_normalization",
    "batch_set_value",
    "bias_add",
    "binary_crossentropy",
    "cast_to_floatx",
    "categorical_crossentropy",
    "clip",
    "concatenate",
    "constant",
    "count_params",
    "ctc_batch_cost",
    "ctc_decode",
    "cumprod",
    "cumsum",
    "dot",
    "dropout",
    "dtype",
    "eval",
    "expand_dims",
    "eye",
    "flatten",
    "gather",
    "get_value",
    "in_top_k",
    "int_shape",
    "l2_normalize",
    "map_fn",
    "moving_average_update",
    "one_hot",
    "ones",
    "permute_dimensions",
    "pow",
    "random_normal",
    "random_normal_variable",
    "random_uniform",
    "random_uniform_variable",
    "relu",
    "repeat",
    "repeat_elements",
    "reshape",
    "reverse",
    "set_value",
    "sparse_categorical_crossentropy",
    "switch",
    "truncated_normal",
    "update",
    "update_add",
    "update_sub",
    "variable",
    "zeros",
]


@named
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: str = "int32") -> Any:
    """Numbers from `start` to before `stop`: `ops.arange`."""
    return ops.arange(start, stop, step, dtype=dtype)


@named
def argmax(x: Any, axis: int = -1) -> Any:
    """Where the largest numbers stand: `ops.argmax` along the last axis."""
    return ops.argmax(x, axis)


@named
def argmin(x: Any, axis: int = -1) -> Any:
    """Where the smallest numbers stand: `ops.argmin` along the last axis."""
    return ops.argmin(x, axis)


@named
def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """Products of sums over one axis of each of two tensors, sample by sample.

    Args:
        x: A tensor of shape (n, ...).
        y: Another, of as many samples.
        axes: The axis of each, or one for both. None is the last of `x` and the last but one of `y`.

    Raises:
        ValueError: An axis is that of the samples, or a tensor has no other.
    """
    x, y = ops.convert_to_tensor(x), ops.convert_to_tensor(y)
    ranks = len(x.shape), len(y.shape)
    if min(ranks) < 2:
        raise ValueError(
            f"batch_dot: expected tensors of at least two axes, received {x.shape} and {y.shape}"
        )
    if axes is None:
        axes = (-1, -1 if ranks[1] == 2 else -2)
    first, second = (axes, axes) if isinstance(axes, int) else axes
    first, second = first % ranks[0], second % ranks[1]
    if 0 in (first, second):
        raise ValueError(f"batch_dot: axes: expected other axes than that of the samples, received {axes!r}")
    letters = "abcdefghijklmnopqrstuvwxyz"
    of_x = "n" + letters[: ranks[0] - 1]
    of_y = "n" + letters[13:][: ranks[1] - 1].replace("n", "z")
    of_y = of_y[:second] + of_x[first] + of_y[second + 1 :]
    kept = of_x[:first] + of_x[first + 1 :] + of_y[1:second] + of_y[second + 1 :]
    found = ops.einsum(f"{of_x},{of_y}->{kept}", x, y)
    return ops.expand_dims(found, -1) if ranks == (2, 2) else found


@named
def batch_flatten(x: Any) -> Any:
    """Samples as rows: all axes but the first become one."""
    x = ops.convert_to_tensor(x)
    size = 1
    for extent in x.shape[1:]:
        size *= extent
    return ops.reshape(x, (-1, size))


@named
def batch_get_value(tensors: Sequence[Any]) -> list[Any]:
    """The values of tensors and variables as arrays of numpy."""
    return [get_value(tensor) for tensor in tensors]


@named
def batch_set_value(tuples: Sequence[tuple[Any, Any]]) -> None:
    """Assigns a value to each variable of pairs."""
    for target, value in tuples:
        target.assign(value)


@named
def batch_normalization(
    x: Any, mean: Any, var: Any, beta: Any, gamma: Any, axis: int = -1, epsilon: float = 1e-3
) -> Any:
    """`ops.batch_normalization` with an offset `beta` and a scale `gamma`."""
    return ops.batch_normalization(x, mean, var, axis, beta, gamma, epsilon)


@named
def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Any:
    """Adds a number to each channel, or a bias of all axes but the first."""
    bias = ops.convert_to_tensor(bias)
    rank = len(ops.convert_to_tensor(x).shape)
    if len(bias.shape) == 1 and (data_format or config.image_data_format()) == "channels_first" and rank > 2:
        bias = ops.reshape(bias, (-1, *[1] * (rank - 2)))
    return ops.add(x, bias)


@named
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """`ops.binary_crossentropy`, element by element."""
    return ops.binary_crossentropy(target, output, from_logits)


@named
def cast_to_floatx(x: Any) -> Any:
    """A tensor of floats of 32 bits."""
    return ops.cast(x, config.floatx())


@named
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """`ops.categorical_crossentropy`, sample by sample."""
    return ops.categorical_crossentropy(target, output, from_logits, axis)


@named
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1, ignore_class: int | None = None
) -> Any:
    """`ops.sparse_categorical_crossentropy`; samples of `ignore_class` have the loss 0."""
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(target, output, from_logits, axis)
    counts = ops.not_equal(target, ignore_class)
    kept = ops.where(counts, target, 0)
    return ops.where(counts, ops.sparse_categorical_crossentropy(kept, output, from_logits, axis), 0.0)


@named
def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """Numbers between bounds: `ops.clip`."""
    return ops.clip(x, min_value, max_value)


@named
def concatenate(tensors: Any, axis: int = -1) -> Any:
    """`ops.concatenate` along the last axis."""
    return ops.concatenate(tensors, axis)


@named
def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """A tensor of a value, broadcast to `shape`. `name` begins the message of an error about it."""
    try:
        made = ops.convert_to_tensor(value, dtype)
        return made if shape is None else ops.broadcast_to(made, shape)
    except ValueError as error:
        raise ValueError(f"{name or 'constant'}: {error}") from None


@named
def count_params(x: Any) -> int:
    """The number of elements of a tensor or variable."""
    return int(np.prod(x.shape))


@named
def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Any:
    """The loss of connectionist temporal classification (Graves et al. 2006), whose blank is the last class.

    Args:
        y_true: Labels of shape (n, labels).
        y_pred: Probabilities of shape (n, steps, classes).
        input_length: How many steps of each sample count, of shape (n, 1).
        label_length: How many labels of each sample count, of shape (n, 1).

    Returns:
        The loss of each sample, of shape (n, 1).
    """
    logits = ops.log(ops.add(y_pred, config.epsilon()))
    labels, steps = (ops.cast(ops.squeeze(n, -1), "int32") for n in (label_length, input_length))
    blank = logits.shape[-1] - 1
    return ops.expand_dims(ops.ctc_loss(ops.cast(y_true, "int32"), logits, labels, steps, blank), 1)


@named
def ctc_decode(
    y_pred: Any, input_length: Any, greedy: bool = True, beam_width: int = 100, top_paths: int = 1
) -> tuple[list[Any], Any]:
    """The likeliest labels of steps of probabilities, whose blank is the last class.

    Args:
        y_pred: Probabilities of shape (n, steps, classes).
        input_length: How many steps of each sample count, of shape (n,).
        greedy: Whether the likeliest class of each step is taken; otherwise a beam search of `beam_width`.
        beam_width: Paths that the search follows.
        top_paths: Paths that the search gives.

    Returns:
        A list of int64 labels of shape (n, steps), -1 behind their end, and the scores.
    """
    logits = ops.log(ops.add(y_pred, config.epsilon()))
    blank = logits.shape[-1] - 1
    options: dict[str, Any] = {"strategy": "greedy"}
    if not greedy:
        options = {"strategy": "beam_search", "beam_width": beam_width, "top_paths": top_paths}
    paths, scores = ops.ctc_decode(logits, ops.cast(input_length, "int32"), mask_index=blank, **options)
    return [ops.cast(paths[i], "int64") for i in range(paths.shape[0])], scores


@named
def cumprod(x: Any, axis: int = 0) -> Any:
    """Products up to each element: `ops.cumprod`."""
    return ops.cumprod(x, axis)


@named
def cumsum(x: Any, axis: int = 0) -> Any:
    """Sums up to each element: `ops.cumsum`."""
    return ops.cumsum(x, axis)


@named
def dot(x: Any, y: Any) -> Any:
    """`ops.dot`: sums over the last axis of `x` and the last but one of `y`."""
    return ops.dot(x, y)


@named
def dropout(x: Any, level: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Zeros in place of a part `level` of elements, the others scaled up: `random.dropout`."""
    return random.dropout(x, level, noise_shape=noise_shape, seed=seed)


@named
def dtype(x: Any) -> str:
    """The name of the element type."""
    return str(ops.dtype(x))


@named
def eval(x: Any) -> Any:
    """The values as an array of numpy."""
    return get_value(x)


@named
def expand_dims(x: Any, axis: int = -1) -> Any:
    """`ops.expand_dims` at the end."""
    return ops.expand_dims(x, axis)


@named
def eye(size: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable whose value is the identity matrix."""
    rows, columns = size if isinstance(size, (tuple, list)) else (size, size)
    return variable(ops.eye(rows, columns, dtype=dtype or config.floatx()), dtype=dtype, name=name)


@named
def flatten(x: Any) -> Any:
    """All elements in one axis."""
    return ops.reshape(x, (-1,))


@named
def gather(reference: Any, indices: Any) -> Any:
    """Rows by their indices: `ops.take` along the first axis."""
    return ops.take(reference, indices, axis=0)


@named
def get_value(x: Any) -> Any:
    """The values of a tensor or variable as an array of numpy."""
    return ops.convert_to_numpy(x)


@named
def in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    """Whether each target is among the `k` largest predictions: `ops.in_top_k`."""
    return ops.in_top_k(targets, predictions, k)


@named
def int_shape(x: Any) -> tuple[int | None, ...]:
    """The shape, None where an extent is not known."""
    return tuple(x.shape)


@named
def l2_normalize(x: Any, axis: Any = None) -> Any:
    """Numbers divided by the root of the sum of their squares, along an axis or all."""
    norm = ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis, keepdims=True), 1e-12))
    return ops.divide(x, norm)


@named
def map_fn(fn: Any, elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    """The results of a function for each element along the first axis. `name` begins messages of errors."""
    try:
        found = ops.map(fn, elems)
    except ValueError as error:
        raise ValueError(f"{name or 'map_fn'}: {error}") from None
    return found if dtype is None else ops.cast(found, dtype)


@named
def moving_average_update(x: Any, value: Any, momentum: Any) -> Any:
    """Assigns `x * momentum + value * (1 - momentum)` to a variable, which is given back."""
    x.assign(x * momentum + value * (1.0 - momentum))
    return x


@named
def one_hot(indices: Any, num_classes: int) -> Any:
    """`ops.one_hot`."""
    return ops.one_hot(indices, num_classes)


@named
def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of ones."""
    return variable(ops.ones(shape, dtype or config.floatx()), dtype=dtype, name=name)


@named
def permute_dimensions(x: Any, pattern: Any) -> Any:
    """Axes in another order: `ops.transpose`."""
    return ops.transpose(x, pattern)


@named
def pow(x: Any, a: Any) -> Any:
    """`ops.power`."""
    return ops.power(x, a)


@named
def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """`random.normal`."""
    return random.normal(shape, mean, stddev, dtype, seed)


@named
def random_normal_variable(
    shape: Any, mean: float, scale: float, dtype: Any = None, name: str | None = None, seed: Any = None
) -> Any:
    """A variable of `random.normal`."""
    return variable(random.normal(shape, mean, scale, dtype, seed), dtype=dtype, name=name)


@named
def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """`random.uniform`."""
    return random.uniform(shape, minval, maxval, dtype, seed)


@named
def random_uniform_variable(
    shape: Any, low: float, high: float, dtype: Any = None, name: str | None = None, seed: Any = None
) -> Any:
    """A variable of `random.uniform`."""
    return variable(random.uniform(shape, low, high, dtype, seed), dtype=dtype, name=name)


@named
def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """`x` from the threshold on and at most `max_value`, `alpha * (x - threshold)` below."""
    x = ops.convert_to_tensor(x)
    above = x if max_value is None else ops.minimum(x, max_value)
    return ops.where(x >= threshold, above, alpha * (x - threshold))


@named
def repeat(x: Any, n: int) -> Any:
    """A matrix repeated `n` times along a new axis in its middle."""
    return ops.repeat(ops.expand_dims(x, 1), n, axis=1)


@named
def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Elements repeated along an axis: `ops.repeat`."""
    return ops.repeat(x, rep, axis=axis)


@named
def reshape(x: Any, shape: Any) -> Any:
    """`ops.reshape`."""
    return ops.reshape(x, shape)


@named
def reverse(x: Any, axes: Any) -> Any:
    """Elements in reverse order along axes: `ops.flip`."""
    return ops.flip(x, axes)


@named
def set_value(x: Any, value: Any) -> None:
    """Assigns a value to a variable."""
    x.assign(value)


@named
def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two tensors, or what one of two functions gives; of elements, where the condition has some.

    Args:
        condition: A scalar, or a tensor of the first axes of the results.
        then_expression: A tensor or a function without arguments, where it is true.
        else_expression: Another, where it is false.
    """
    condition = ops.cast(condition, "bool")
    if len(condition.shape) == 0 and callable(then_expression) and callable(else_expression):
        return ops.cond(condition, then_expression, else_expression)
    then, other = (part() if callable(part) else part for part in (then_expression, else_expression))
    rank = len(ops.convert_to_tensor(then).shape)
    for _ in range(rank - len(condition.shape)):
        condition = ops.expand_dims(condition, -1)
    return ops.where(condition, then, other)


@named
def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """`random.truncated_normal`."""
    return random.truncated_normal(shape, mean, stddev, dtype, seed)


@named
def update(x: Any, new_x: Any) -> Any:
    """Assigns a value to a variable, which is given back."""
    x.assign(new_x)
    return x


@named
def update_add(x: Any, increment: Any) -> Any:
    """Adds to a variable, which is given back."""
    x.assign_add(increment)
    return x


@named
def update_sub(x: Any, decrement: Any) -> Any:
    """Subtracts from a variable, which is given back."""
    x.assign_sub(decrement)
    return x


@named
def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Any:
    """A `Variable`. A constraint is what an optimizer applies after each step."""
    made = Variable(value, dtype=dtype or config.floatx(), name=name)
    if constraint is not None:
        made.constraint = constraint
    return made


@named
def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of zeros."""
    return variable(ops.zeros(shape, dtype or config.floatx()), dtype=dtype, name=name)
