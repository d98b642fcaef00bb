"""Making tensors and moving their elements: `tf.zeros`, `tf.reshape`, `tf.concat` and the like.

>>> import cnnrs.compat.tf as tf
>>> x = tf.reshape(tf.range(6), (2, -1))
>>> tf.concat([x, x], axis=1).shape.as_list(), int(tf.shape(x)[1] * 2)
([2, 6], 6)
>>> tf.pad(x, [[0, 0], [1, 0]])[0].numpy().tolist()
[0, 0, 1, 2]
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.compat.tf.arguments import alike, axis_of, extents, integer, numbers, of_dtype, tensor
from cnnrs.compat.tf.dtypes import as_dtype, float32, int32
from cnnrs.compat.tf.namespaces import operation
from cnnrs.compat.tf.shapes import TensorShape
from cnnrs.compat.tf.texts import moves
from cnnrs.data.strings import StringTensor
from cnnrs.symbolic import KerasTensor

__all__ = [
    "batch_to_space",
    "broadcast_dynamic_shape",
    "broadcast_static_shape",
    "broadcast_to",
    "concat",
    "expand_dims",
    "eye",
    "fill",
    "identity",
    "identity_n",
    "linspace",
    "meshgrid",
    "newaxis",
    "one_hot",
    "ones",
    "ones_like",
    "pad",
    "parallel_stack",
    "range",
    "rank",
    "repeat",
    "reshape",
    "reverse",
    "roll",
    "shape",
    "shape_n",
    "size",
    "space_to_batch",
    "squeeze",
    "stack",
    "tile",
    "transpose",
    "unstack",
    "split",
    "zeros",
    "zeros_like",
]

newaxis = None


def shape(input: Any, out_type: Any = None, name: str | None = None) -> Any:
    """The extents of `input` as a tensor of integers.

    Args:
        input: A tensor. Of a symbolic one, the extents are a `TensorShape`, with None for what is not known;
            `tf.reshape` takes it.
        out_type: Type of the integers; int32 if None.
        name: What begins the message of an error.
    """
    if isinstance(input, KerasTensor):
        return TensorShape(input.shape)
    return _shape(input, out_type, name=name)


@operation
def _shape(input: Any, out_type: Any) -> Any:
    extents_ = input.shape if isinstance(input, StringTensor) else tensor(input).shape
    return ops.array(np.array(tuple(extents_), as_dtype(out_type or int32).name))


@operation
def shape_n(input: Any, out_type: Any = int32) -> list[Any]:
    """The shape of each tensor of a list."""
    return [shape(x, out_type) for x in input]


@operation
def size(input: Any, out_type: Any = None) -> Any:
    """The number of elements, int32 by default."""
    count = input.size if isinstance(input, StringTensor) else tensor(input).size
    return ops.array(np.array(count, as_dtype(out_type or int32).name))


@operation
def rank(input: Any) -> Any:
    """The number of axes."""
    axes = input.ndim if isinstance(input, StringTensor) else tensor(input).ndim
    return ops.array(np.array(axes, "int32"))


def reshape(tensor: Any, shape: Any, name: str | None = None) -> Any:
    """The elements in another shape.

    Args:
        tensor: A tensor.
        shape: Extents, one of which may be -1; of a symbolic tensor also None for one that is not known.
        name: What begins the message of an error.
    """
    if isinstance(tensor, KerasTensor) and isinstance(shape, (list, tuple)) and None in shape:
        shape = _without_unknown(tuple(tensor.shape), list(shape))
    return _reshape(tensor, shape, name=name)


def _without_unknown(given: tuple[Any, ...], shape: list[Any]) -> list[Any]:
    """A shape with -1 in the place of an unknown extent; what was -1 follows from the others."""
    if -1 in shape and given.count(None) == 1 and shape.count(None) == 1:
        known = math.prod(n for n in given if n is not None)
        rest = math.prod(n for n in shape if n not in (None, -1))
        shape = [known // rest if n == -1 else n for n in shape]
    return [-1 if n is None else n for n in shape]


@operation
@moves
def _reshape(tensor: Any, shape: Any) -> Any:
    return ops.reshape(_made(tensor), extents(shape, "reshape"))


@operation
@moves
def expand_dims(input: Any, axis: Any) -> Any:
    """A new axis of extent 1 at `axis`."""
    x = _made(input)
    return ops.expand_dims(x, axis_of(axis, x.ndim + 1, "expand_dims"))


@operation
@moves
def squeeze(input: Any, axis: Any = None) -> Any:
    """Without the axes of extent 1, or without those given."""
    x = _made(input)
    if axis is None or axis == []:
        return ops.squeeze(x)
    axes = tuple(axis_of(a, x.ndim, "squeeze") for a in (axis if isinstance(axis, (list, tuple)) else [axis]))
    return ops.squeeze(x, axes if len(axes) > 1 else axes[0])


@operation
@moves
def transpose(a: Any, perm: Any = None, conjugate: bool = False) -> Any:
    """The axes in the order `perm`, or reversed; the conjugate of real numbers is themselves."""
    x = _made(a)
    moved = ops.transpose(x, None if perm is None else numbers(perm, "transpose", "perm"))
    return ops.conj(moved) if conjugate else moved


@operation
@moves
def concat(values: Any, axis: Any) -> Any:
    """Tensors one behind the other along an axis."""
    if not isinstance(values, (list, tuple)):
        return _made(values)
    made = alike("concat", *values)
    return ops.concatenate(made, axis=axis_of(axis, made[0].ndim, "concat"))


@operation
@moves
def stack(values: Any, axis: Any = 0) -> Any:
    """Tensors of one shape along a new axis."""
    made = alike("stack", *(_made(values) if not isinstance(values, (list, tuple)) else values))
    return ops.stack(made, axis=axis_of(axis, made[0].ndim + 1, "stack"))


@operation
def parallel_stack(values: Any) -> Any:
    """Tensors of one shape along a new first axis."""
    return ops.stack(alike("parallel_stack", *values), axis=0)


@operation
@moves
def unstack(value: Any, num: int | None = None, axis: Any = 0) -> list[Any]:
    """The slices along an axis, as a list.

    Raises:
        ValueError: There are not `num` of them.
    """
    x = _made(value)
    place = axis_of(axis, x.ndim, "unstack")
    if num is not None and num != x.shape[place]:
        raise ValueError(f"tf.unstack: num: expected {x.shape[place]}, received {num}")
    return list(ops.unstack(x, axis=place))


@operation
@moves
def split(value: Any, num_or_size_splits: Any, axis: Any = 0, num: int | None = None) -> list[Any]:
    """Parts along an axis: so many equal ones, or of the sizes given, one of which may be -1.

    Raises:
        ValueError: The parts do not fit the extent, or are not `num`.
    """
    x = _made(value)
    place = axis_of(axis, x.ndim, "split")
    extent = x.shape[place]
    if np.ndim(num_or_size_splits) == 0:
        many = integer(num_or_size_splits, "split", "num_or_size_splits")
        if many < 1 or extent % many:
            raise ValueError(f"tf.split: expected a number of parts that divides {extent}, received {many}")
        sizes = [extent // many] * many
    else:
        sizes = numbers(num_or_size_splits, "split", "num_or_size_splits")
        if sizes.count(-1) == 1:
            sizes[sizes.index(-1)] = extent - sum(sizes) - 1
        if sum(sizes) != extent or min(sizes, default=0) < 0:
            raise ValueError(
                f"tf.split: expected sizes that add up to {extent}, received {num_or_size_splits}"
            )
    if num is not None and num != len(sizes):
        raise ValueError(f"tf.split: num: expected {len(sizes)}, received {num}")
    starts = np.cumsum([0, *sizes]).tolist()
    before = (slice(None),) * place
    return [x[(*before, slice(a, b))] for a, b in zip(starts[:-1], starts[1:], strict=True)]


@operation
@moves
def tile(input: Any, multiples: Any) -> Any:
    """The tensor repeated so many times along each axis."""
    x = _made(input)
    many = numbers(multiples, "tile", "multiples")
    if len(many) != x.ndim:
        raise ValueError(f"tf.tile: multiples: expected {x.ndim} numbers, received {many}")
    return ops.tile(x, many)


@operation
@moves
def repeat(input: Any, repeats: Any, axis: Any = None) -> Any:
    """Each element, or each slice along an axis, so many times; `repeats` may say it for each."""
    x = _made(input)
    many = numbers(repeats, "repeat", "repeats")
    place = None if axis is None else axis_of(axis, x.ndim, "repeat")
    return ops.repeat(x, many[0] if len(many) == 1 else np.array(many), axis=place)


@operation
@moves
def reverse(tensor: Any, axis: Any) -> Any:
    """The slices along axes in reverse order."""
    x = _made(tensor)
    axes = tuple(axis_of(a, x.ndim, "reverse") for a in numbers(axis, "reverse", "axis"))
    return ops.flip(x, axes) if axes else x


@operation
@moves
def roll(input: Any, shift: Any, axis: Any) -> Any:
    """The slices along axes moved by so many places; what leaves one end comes in at the other."""
    x = _made(input)
    shifts, axes = numbers(shift, "roll", "shift"), numbers(axis, "roll", "axis")
    for by, along in zip(shifts, axes, strict=True):
        x = ops.roll(x, by, axis=axis_of(along, x.ndim, "roll"))
    return x


@operation
def pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0) -> Any:
    """The tensor with elements before and behind along each axis.

    Args:
        tensor: A tensor of n axes.
        paddings: n pairs of how many come before and behind.
        mode: "CONSTANT", "REFLECT" (without the edge) or "SYMMETRIC" (with it); capitals do not matter.
        constant_values: What fills in the mode "CONSTANT".

    Raises:
        ValueError: The mode is none of these, or the paddings do not fit.
    """
    x = _made(tensor)
    pairs = np.array(numbers(paddings, "pad", "paddings")).reshape(-1, 2).tolist()
    if len(pairs) != x.ndim:
        raise ValueError(f"tf.pad: paddings: expected {x.ndim} pairs, received {len(pairs)}")
    kind = str(mode).lower()
    if kind not in ("constant", "reflect", "symmetric"):
        raise ValueError(f"tf.pad: mode: expected CONSTANT, REFLECT or SYMMETRIC, received {mode!r}")
    if kind != "constant":
        return ops.pad(x, pairs, mode=kind)
    value = (
        np.asarray(constant_values).item()
        if not isinstance(constant_values, (int, float))
        else constant_values
    )
    return ops.pad(x, pairs, mode=kind, constant_values=value)


@operation
def broadcast_to(input: Any, shape: Any) -> Any:
    """The tensor repeated along axes of extent 1, and along new ones in front."""
    return ops.broadcast_to(_made(input), extents(shape, "broadcast_to"))


def broadcast_static_shape(shape_x: Any, shape_y: Any) -> TensorShape:
    """The shape of what tensors of two shapes make."""
    return TensorShape(np.broadcast_shapes(tuple(TensorShape(shape_x)), tuple(TensorShape(shape_y))))


def broadcast_dynamic_shape(shape_x: Any, shape_y: Any) -> Any:
    """The shape of what tensors of two shapes make, as a tensor."""
    both = (extents(s, "broadcast_dynamic_shape") for s in (shape_x, shape_y))
    return ops.array(np.array(np.broadcast_shapes(*map(tuple, both)), "int32"))


@operation
def zeros(shape: Any, dtype: Any = float32, layout: Any = None) -> Any:
    """A tensor of zeros; there is one device, for which `layout` is None."""
    _no_layout(layout, "zeros")
    return ops.zeros(extents(shape, "zeros"), as_dtype(dtype).name)


@operation
def ones(shape: Any, dtype: Any = float32, layout: Any = None) -> Any:
    """A tensor of ones; there is one device, for which `layout` is None."""
    _no_layout(layout, "ones")
    return ops.ones(extents(shape, "ones"), as_dtype(dtype).name)


@operation
def zeros_like(input: Any, dtype: Any = None, layout: Any = None) -> Any:
    """Zeros of the shape of a tensor, and of its dtype if none is given."""
    _no_layout(layout, "zeros_like")
    return ops.zeros_like(_made(input), None if dtype is None else as_dtype(dtype).name)


@operation
def ones_like(input: Any, dtype: Any = None, layout: Any = None) -> Any:
    """Ones of the shape of a tensor, and of its dtype if none is given."""
    _no_layout(layout, "ones_like")
    return ops.ones_like(_made(input), None if dtype is None else as_dtype(dtype).name)


def _no_layout(layout: Any, function: str) -> None:
    if layout is not None:
        raise ValueError(
            f"tf.{function}: layout: expected None, for there is one device; received {layout!r}"
        )


@operation
def fill(dims: Any, value: Any, layout: Any = None) -> Any:
    """A tensor of one value."""
    _no_layout(layout, "fill")
    x = _made(value)
    return ops.broadcast_to(ops.reshape(x, [1] * len(extents(dims, "fill"))), extents(dims, "fill"))


@operation
def eye(num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: Any = float32) -> Any:
    """Matrices with ones on the diagonal."""
    rows = integer(num_rows, "eye", "num_rows")
    columns = rows if num_columns is None else integer(num_columns, "eye", "num_columns")
    one = ops.eye(rows, columns, dtype=as_dtype(dtype).name)
    if batch_shape is None:
        return one
    return ops.broadcast_to(one, [*extents(batch_shape, "eye", "batch_shape"), rows, columns])


@operation
def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None) -> Any:
    """Numbers from `start` to `limit`, which is excluded, in steps of `delta`; one number is the limit."""
    if limit is None:
        start, limit = 0, start
    made = alike("range", start, limit, delta)
    name = as_dtype(dtype).name if dtype is not None else made[0].dtype.name
    values = [np.asarray(x).item() for x in made]
    if values[2] == 0:
        raise ValueError("tf.range: delta: expected a number other than 0")
    return ops.cast(np.arange(values[0], values[1], values[2]), name)


@operation
def linspace(start: Any, stop: Any, num: Any, axis: int = 0) -> Any:
    """`num` numbers from `start` to `stop`, both included; integers become float64."""
    first, last = alike("linspace", start, stop)
    if first.dtype.is_integer:
        first, last = ops.cast(first, "float64"), ops.cast(last, "float64")
    return ops.linspace(first, last, integer(num, "linspace", "num"), axis=axis, dtype=first.dtype.name)


def meshgrid(*args: Any, indexing: str = "xy", name: str | None = None) -> Any:
    """Coordinates of a grid: for each vector a tensor in which it runs along an axis of its own."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"{name or 'tf.meshgrid'}: indexing: expected 'xy' or 'ij', received {indexing!r}")
    return list(ops.meshgrid(*args, indexing=indexing))


@operation
def one_hot(
    indices: Any, depth: Any, on_value: Any = None, off_value: Any = None, axis: Any = None, dtype: Any = None
) -> Any:
    """For each index a vector that is `on_value` there, else `off_value`.

    Args:
        indices: Integers; those outside of 0 to `depth - 1` give vectors of `off_value`.
        depth: Length of the vectors.
        on_value: 1 if None.
        off_value: 0 if None.
        axis: The axis along which the vectors lie; None or -1 for a last one.
        dtype: Element type; None for that of the values, float32 if there are none.

    Raises:
        TypeError: The indices are no integers.
    """
    index = _made(indices)
    if not index.dtype.is_integer:
        raise TypeError(f"tf.one_hot: indices: expected integers, received {index.dtype.name}")
    given = [value for value in (on_value, off_value) if value is not None]
    name = (
        as_dtype(dtype).name
        if dtype is not None
        else alike("one_hot", *given)[0].dtype.name
        if given
        else "float32"
    )
    on, off = (
        of_dtype(default if value is None else value, name, "one_hot")
        if name != "bool"
        else bool(value or default)
        for value, default in ((on_value, 1), (off_value, 0))
    )
    place = -1 if axis is None else integer(axis, "one_hot", "axis")
    marks = ops.one_hot(index, integer(depth, "one_hot", "depth"), axis=place, dtype="bool")
    return ops.where(marks, on, off)


@operation
@moves
def identity(input: Any) -> Any:
    """The tensor itself; a variable's current value."""
    return _made(input)


@operation
def identity_n(input: Any) -> list[Any]:
    """The tensors of a list."""
    return [_made(x) for x in input]


@operation
def space_to_batch(input: Any, block_shape: Any, paddings: Any) -> Any:
    """Blocks of pixels as images of their own, after padding: what `batch_to_space` undoes."""
    x, block = _made(input), numbers(block_shape, "space_to_batch", "block_shape")
    pairs = np.array(numbers(paddings, "space_to_batch", "paddings")).reshape(-1, 2).tolist()
    block = block * len(pairs) if len(block) == 1 else block
    rest = x.ndim - 1 - len(block)
    x = ops.pad(x, [[0, 0], *pairs, *[[0, 0]] * rest])
    batch, *spatial = x.shape[: 1 + len(block)]
    inner = [n for extent, b in zip(spatial, block, strict=True) for n in (extent // b, b)]
    x = ops.reshape(x, [batch, *inner, *x.shape[1 + len(block) :]])
    many = len(block)
    order = [2 + 2 * i for i in _indices(many)] + [0] + [1 + 2 * i for i in _indices(many)]
    x = ops.transpose(x, order + [1 + 2 * many + i for i in _indices(rest)])
    return ops.reshape(x, [batch * math.prod(block), *x.shape[many + 1 :]])


@operation
def batch_to_space(input: Any, block_shape: Any, crops: Any) -> Any:
    """Images put together from blocks, and cropped: what `space_to_batch` undoes."""
    x, block = _made(input), numbers(block_shape, "batch_to_space", "block_shape")
    pairs = np.array(numbers(crops, "batch_to_space", "crops")).reshape(-1, 2).tolist()
    block = block * len(pairs) if len(block) == 1 else block
    many, batch = len(block), x.shape[0] // math.prod(block)
    x = ops.reshape(x, [*block, batch, *x.shape[1:]])
    order = [many] + [n for i in _indices(many) for n in (many + 1 + i, i)]
    x = ops.transpose(x, order + list(_indices(x.ndim))[2 * many + 1 :])
    merged = [x.shape[1 + 2 * i] * x.shape[2 + 2 * i] for i in _indices(many)]
    x = ops.reshape(x, [batch, *merged, *x.shape[1 + 2 * many :]])
    cuts = tuple(slice(a, n - b) for (a, b), n in zip(pairs, merged, strict=True))
    return x[(slice(None), *cuts)]


def _indices(n: int) -> Any:
    """0 to n - 1: `range` is a tensor here."""
    return np.arange(n).tolist()


# Arguments are called `tensor` as in TensorFlow.
_made = tensor
