"""Rows of what moves, joins and picks elements; all exact."""

from __future__ import annotations

import autograd.numpy as np
import numpy

from fuzz.pointwise import lift, wide
from fuzz.reductions import countable, total
from fuzz.rounding import r, value
from fuzz.table import Call, row


def exact(name, draw, reference, **flags):
    row(name, draw, reference, exact=True, **flags)


def _factors(d, size):
    """A shape of that many elements."""
    parts = []
    for _ in range(d.choose([0, 1, 2, 3])):
        divisors = [n for n in range(1, min(size, 70) + 1) if size % n == 0]
        parts.append(d.choose(divisors))
        size //= parts[-1]
    shape = [*parts, size]
    if d.flip(0.4):
        shape[d.below(len(shape))] = -1
    return shape


exact(
    "ops.reshape",
    lambda d: (x := d.any(where=lambda v: v.size)) and Call([x, _factors(d, d.size(x))]),
    lambda x, shape: np.reshape(x, shape),
    often=2,
)
exact("ops.ravel", lambda d: Call([d.any()]), lambda x: np.reshape(x, (-1,)))
exact("{0}.flatten()", lambda d: Call([d.tensor()]), lambda x: np.reshape(x, (-1,)), often=0.3)
exact(
    "ops.transpose",
    lambda d: Call([x := d.any()], d.maybe(axes=d.rng.permutation(d.rank(x)).tolist())),
    lambda x, axes=None: np.transpose(x, axes),
    often=2,
)


def two_axes(name, reference, **flags):
    def draw(d):
        x = d.any(where=lambda v: v.ndim >= 2)
        if x is None:
            return None
        a, b = d.rng.permutation(d.rank(x))[:2].tolist()
        return Call([x, a - d.rank(x) if d.flip(0.3) else a, b])

    exact(name, draw, reference, **flags)


two_axes("ops.swapaxes", lambda x, a, b: np.swapaxes(x, a, b))
two_axes("ops.moveaxis", lambda x, a, b: np.moveaxis(x, a, b))
exact(
    "ops.expand_dims",
    lambda d: (x := d.any(where=lambda v: v.ndim < 5)) and Call([x, d.below(d.rank(x) + 1)]),
    lambda x, axis: np.expand_dims(x, axis),
)
exact("ops.squeeze", lambda d: Call([d.any()]), lambda x: np.squeeze(x))
exact(
    "ops.broadcast_to",
    lambda d: (
        (x := d.any(where=lambda v: v.size < 500 and v.ndim < 4))
        and Call([x, [d.small(), *(d.small() if n == 1 else n for n in d.shape(x))]])
    ),
    wide,
)


def common(xs):
    order = ["bool", "uint8", "int32", "float64"]
    dtype = order[max(order.index(str(x.dtype)) for x in xs)]
    return [x if str(x.dtype) == dtype else x.astype(dtype) for x in xs]


def _draw_concatenate(d):
    x = d.any(where=lambda v: v.ndim)
    if x is None:
        return None
    axis = d.axis(x) % d.rank(x)
    shape = list(d.shape(x))
    parts = [x]
    for _ in range(d.choose([0, 1, 1, 2])):
        y = d.any(
            where=lambda v: (
                v.ndim == len(shape) and all(a == axis or v.shape[a] == shape[a] for a in range(len(shape)))
            )
        )
        if y is None or d.flip(0.3):
            shape[axis] = d.small()
            y = d.fresh(tuple(shape), batch=False)
        parts.insert(d.below(len(parts) + 1), y)
    return Call([parts], {"axis": axis - len(shape) if d.flip(0.3) else axis})


exact("ops.concatenate", _draw_concatenate, lambda xs, axis=0: np.concatenate(common(xs), axis), often=2)
exact(
    "ops.append",
    lambda d: (
        (c := _draw_concatenate(d)) and Call([c.args[0][0], c.args[0][-1]], c.kwargs if d.flip() else {})
    ),
    lambda x, y, axis=None: np.concatenate(
        common([x, y] if axis is not None else [np.reshape(x, (-1,)), np.reshape(y, (-1,))]), axis or 0
    ),
    often=0.5,
)


def _draw_stack(d):
    x = d.any(where=lambda v: v.ndim < 4)
    if x is None:
        return None
    same = [x]
    for _ in range(d.choose([0, 1, 2])):
        same.append(d.any(where=lambda v: v.shape == d.shape(x)) or x)
    return Call([same], {"axis": d.below(d.rank(x) + 1)})


exact("ops.stack", _draw_stack, lambda xs, axis=0: np.stack(common(xs), axis))
exact(
    "ops.hstack",
    lambda d: (
        (x := d.any(where=lambda v: v.ndim)) and Call([[x, d.any(where=lambda v: v.shape == d.shape(x))]])
    ),
    lambda xs: np.concatenate(common(xs), 0 if xs[0].ndim == 1 else 1),
    often=0.5,
)
exact(
    "ops.vstack",
    lambda d: (
        (x := d.any(where=lambda v: v.ndim)) and Call([[x, d.any(where=lambda v: v.shape == d.shape(x))]])
    ),
    lambda xs: np.concatenate([np.reshape(x, (1, -1)) if x.ndim < 2 else x for x in common(xs)], 0),
    often=0.5,
)


def _draw_split(d):
    x = d.any(where=lambda v: v.ndim and max(v.shape) > 1)
    if x is None:
        return None
    axis = d.axis(x, least=2)
    extent = d.shape(x)[axis]
    if d.flip():
        cuts = sorted(d.rng.integers(1, extent, d.choose([1, 2])).tolist())
        return Call([x, cuts], {"axis": axis}) if len(set(cuts)) == len(cuts) else None
    divisors = [n for n in range(1, min(extent, 4) + 1) if extent % n == 0]
    return Call([x, d.choose(divisors)], {"axis": axis})


def cut(x, axis, start, stop):
    return x[tuple(slice(start, stop) if a == axis % x.ndim else slice(None) for a in range(x.ndim))]


def _split(x, parts, axis=0):
    extent = value(x).shape[axis]
    cuts = list(range(0, extent, extent // parts)) if isinstance(parts, int) else [0, *parts]
    return [cut(x, axis, a, b) for a, b in zip(cuts, [*cuts[1:], extent], strict=True)]


exact("ops.split", _draw_split, _split)
exact(
    "ops.unstack",
    lambda d: (x := d.any(where=lambda v: v.ndim and v.shape[0] <= 5)) and Call([x]),
    lambda x: [x[i] for i in range(value(x).shape[0])],
    often=0.5,
)
exact(
    "ops.flip",
    lambda d: Call([x := d.any()], d.maybe(axis=d.axis(x)) if d.size(x) and d.rank(x) else {}),
    lambda x, axis=None: x[
        tuple(slice(None, None, -1 if axis is None or a == axis % x.ndim else 1) for a in range(x.ndim))
    ],
)


def _draw_roll(d):
    x = d.any()
    options = d.maybe(axis=d.axis(x)) if d.size(x) and d.rank(x) else {}
    return Call([x, d.choose([-3, -1, 1, 2, 17, 1000])], options)


exact("ops.roll", _draw_roll, lambda x, shift, axis=None: np.roll(x, shift, axis))


def repeated(x, n, axis=None):
    """`numpy.repeat`, whose gradient in autograd counts axes from 0 only."""
    if axis is None:
        x, axis = np.reshape(x, (-1,)), 0
    axis %= x.ndim
    shape = list(value(x).shape)
    wider = wide(np.expand_dims(x, axis + 1), [*shape[: axis + 1], n, *shape[axis + 1 :]])
    shape[axis] *= n
    return np.reshape(wider, shape)


exact(
    "ops.tile",
    lambda d: (
        (x := d.any(where=lambda v: v.size < 500 and v.ndim < 4))
        and Call([x, [d.choose([1, 2, 3]) for _ in range(d.rank(x) + d.choose([0, 0, 1]))]])
    ),
    lambda x, n: np.tile(x, n),
    often=0.7,
)
exact(
    "ops.repeat",
    lambda d: (
        (x := d.any(where=lambda v: v.size < 800))
        and Call([x, d.choose([1, 2, 3])], d.maybe(axis=d.axis(x)) if d.size(x) and d.rank(x) else {})
    ),
    lambda x, n, axis=None: repeated(x, n, axis),
    often=0.7,
)


def _draw_pad(d):
    x = d.number()
    if not d.rank(x) or d.size(x) > 5000:
        return None
    widths = [
        [d.choose([0, 0, 1, 2, 3]), d.choose([0, 1, 2])] if n > 3 else [0, d.choose([0, 1])]
        for n in d.shape(x)
    ]
    if d.flip():
        return Call([x, widths], d.maybe(constant_values=d.choose([0.5, -1.0, 0.0, -0.0])))
    if min(d.shape(x)) < 2:
        return None
    return Call([x, widths], {"mode": d.choose(["reflect", "symmetric", "edge"])})


def pad(x, widths, constant=0.0):
    return np.pad(x, widths, "constant", constant_values=constant)


def _pad(x, widths, mode="constant", constant_values=0.0):
    if mode == "constant":
        for axis, (before, after) in enumerate(widths):
            shape = list(value(x).shape)
            parts = [x]
            if before:
                shape[axis] = before
                parts.insert(0, numpy.full(shape, numpy.float64(numpy.float32(constant_values))))
            if after:
                shape[axis] = after
                parts.append(numpy.full(shape, numpy.float64(numpy.float32(constant_values))))
            if len(parts) > 1:
                x = np.concatenate(parts, axis)
        return x
    for axis, width in enumerate(widths):
        index = numpy.pad(numpy.arange(value(x).shape[axis]), width, mode=mode)
        x = np.swapaxes(np.swapaxes(x, 0, axis)[index], 0, axis)
    return x


exact("ops.pad", _draw_pad, lambda x, widths, **k: _pad(lift(x), widths, **k), often=1.5)


def gather(x, index, axis):
    axis %= value(x).ndim
    moved = np.moveaxis(x, axis, 0)[index]
    rank = numpy.ndim(index)
    order = [*range(rank, rank + axis), *range(rank), *range(rank + axis, moved.ndim)]
    return np.transpose(moved, order)


def _take(x, index, axis=None):
    index = numpy.asarray(index)
    if axis is None:
        x, axis = np.reshape(x, (-1,)), 0
    return gather(x, index, axis)


def _draw_take(d):
    x = d.any(where=lambda v: v.size)
    if x is None or not d.rank(x):
        return None
    axis = d.axis(x) if d.flip(0.8) else None
    extent = d.size(x) if axis is None else d.shape(x)[axis]
    if d.flip():
        index = d.fresh((d.small(),) if d.flip(0.7) else (2, d.small()), extent, "int32")
    else:
        index = d.rng.integers(-extent, extent, d.choose([1, 3])).tolist()
    return Call([x, index], {} if axis is None else {"axis": axis})


exact("ops.take", _draw_take, _take)


def _draw_along(d):
    x = d.any(where=lambda v: v.size and v.ndim)
    if x is None:
        return None
    axis = d.axis(x)
    shape = list(d.shape(x))
    extent, shape[axis] = shape[axis], d.small()
    return Call([x, d.fresh(tuple(shape), extent, "int32")], {"axis": axis})


def _along(x, index, axis):
    others = [
        (n, m) for a, (n, m) in enumerate(zip(value(x).shape, index.shape, strict=True)) if a != axis % x.ndim
    ]
    if any(n != m for n, m in others):
        raise ValueError(f"indices of shape {index.shape} do not fit {value(x).shape}")
    grid = list(numpy.indices(index.shape, sparse=True))
    grid[axis] = index
    return x[tuple(grid)]


exact("ops.take_along_axis", _draw_along, _along)


def _draw_key(d):
    x = d.tensor()
    if not d.rank(x):
        return None
    key = []
    for n in d.shape(x):
        what = d.below(5)
        if what == 0 and n:
            key.append(d.below(n) - (n if d.flip(0.3) else 0))
        elif what == 1:
            key.append(slice(None, None, d.choose([1, 2, 3, -1, -2])))
        elif what == 2 and n > 1:
            start = d.below(n)
            key.append(slice(start, start + 1 + d.below(n - start)))
        else:
            key.append(slice(None))
    if d.flip(0.2):
        key.insert(d.below(len(key) + 1), None)
    if d.flip(0.2):
        key = [*key[:1], Ellipsis]
    return Call([x, tuple(key)])


exact("{0}[{1}]", _draw_key, lambda x, key: x[key], often=2)
exact("ops.get_item", _draw_key, lambda x, key: x[key], often=0.5)


def _draw_slice(d):
    x = d.any(where=lambda v: v.ndim and v.size)
    if x is None:
        return None
    starts = [d.below(n) for n in d.shape(x)]
    return Call([x, starts, [1 + d.below(n - s) for n, s in zip(d.shape(x), starts, strict=True)]])


def _slice(x, starts, shape):
    if any(s + n > extent for s, n, extent in zip(starts, shape, x.shape, strict=True)):
        raise ValueError(f"expected a block within {x.shape}, received {shape} from {starts} on")
    return x[tuple(slice(s, s + n) for s, n in zip(starts, shape, strict=True))]


exact("ops.slice", _draw_slice, _slice)


def _diagonal(x, offset=0, axis1=0, axis2=1):
    x = np.moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = value(x).shape[-2:]
    places = [i for i in range(rows) if 0 <= i + offset < columns]
    return x[..., numpy.asarray(places, int), numpy.asarray(places, int) + offset]


def _draw_diagonal(d):
    x = d.any(where=lambda v: v.ndim >= 2 and min(v.shape) > 1)
    return x and Call([x], d.maybe(offset=d.choose([-1, 0, 1])))


exact("ops.diagonal", _draw_diagonal, _diagonal)


def _trace(x, **k):
    diagonal = countable(_diagonal(x, **k))
    return numpy.sum(diagonal, -1, dtype=numpy.int32) if diagonal.dtype.kind == "i" else total(diagonal, -1)


row(
    "ops.trace",
    lambda d: (
        (x := d.pick(where=lambda v: v.ndim >= 2 and min(v.shape) > 1))
        and Call([x], d.maybe(offset=d.choose([-1, 1])))
    ),
    _trace,
)


def _draw_triangle(d):
    x = d.number()
    return Call([x], d.maybe(k=d.choose([-2, -1, 0, 1, 3]))) if d.rank(x) >= 2 else None


exact(
    "ops.tril",
    _draw_triangle,
    lambda x, k=0: np.where(numpy.tri(*value(x).shape[-2:], k, dtype=bool), x, value(x).dtype.type(0)),
)
exact(
    "ops.triu",
    _draw_triangle,
    lambda x, k=0: np.where(numpy.tri(*value(x).shape[-2:], k - 1, dtype=bool), value(x).dtype.type(0), x),
)


def _diff(x, n=1, axis=-1):
    for _ in range(n):
        last = value(x).shape[axis]
        x = r(
            gather(x, numpy.arange(1, last), axis % x.ndim) - gather(x, numpy.arange(last - 1), axis % x.ndim)
        )
    return x


def _draw_diff(d):
    x = d.number()
    return (
        Call([x], d.maybe(n=d.choose([1, 2]), axis=d.axis(x, least=3)))
        if d.rank(x) and min(d.shape(x)) >= 3
        else None
    )


row("ops.diff", _draw_diff, _diff)


def _cumsum(x, axis=None):
    x = x if hasattr(x, "dtype") else numpy.asarray(x)
    x = x.astype(numpy.int32) if x.dtype == numpy.bool_ else x
    if axis is None:
        x, axis = np.reshape(x, (-1,)), 0
    if x.dtype.kind in "iu":
        return numpy.cumsum(x, axis, dtype=x.dtype)
    return r(np.cumsum(r(x), axis), max(1.0, value(x).shape[axis] ** 0.5))


row(
    "ops.cumsum",
    lambda d: (
        (x := d.any(where=lambda v: v.ndim and 0 < v.size < 800)) and Call([x], d.maybe(axis=d.axis(x)))
    ),
    _cumsum,
)


def _cast(x, dtype):
    x = value(x) if dtype != "float32" else x
    if dtype == "float32":
        return lift(x)
    if dtype == "bool":
        return x != 0
    return numpy.trunc(x).astype(dtype)


def _draw_cast(d):
    x = d.any()
    dtype = d.choose(["float32", "int32", "bool"])
    return Call([x, dtype])


def _fits(f):
    def reference(x, dtype):
        a = value(x)
        if dtype == "int32" and a.size and not numpy.abs(a).max() < 2**31:
            raise ValueError("int32 does not hold it")
        return f(x, dtype)

    return reference


row("ops.cast", _draw_cast, _fits(_cast), often=0.5)
row(
    "{0}.astype({1})",
    lambda d: Call([d.tensor(), d.choose(["int32", "bool", "float32"])]),
    _fits(_cast),
    often=0.3,
)


def _saturate(x, dtype):
    x = value(x)
    low, high = {"uint8": (0, 255), "int32": (-(2**31), 2**31 - 1)}[dtype]
    if x.dtype.kind == "f" and numpy.isnan(x).any():
        raise ValueError("NaN has no integer")
    return numpy.clip(x, low, high).astype(dtype) if x.dtype.kind == "f" else x.astype(dtype)


row("ops.saturate_cast", lambda d: Call([d.number(), d.choose(["uint8", "int32"])]), _saturate, often=0.3)
exact("ops.stop_gradient", lambda d: Call([d.number()]), lambda x: value(x), often=0.7)
exact("ops.copy", lambda d: Call([d.any()]), lambda x: x, often=0.2)
