"""Rows of reductions and of products of matrices."""

from __future__ import annotations

import math

import autograd.numpy as np
import numpy

from fuzz.pointwise import lift, truth
from fuzz.rounding import LARGEST, SMALLEST, noisy, r, total, uncertain, value
from fuzz.table import Call, row


def count(x, axis):
    shape = numpy.shape(value(x))
    axes = range(len(shape)) if axis is None else [axis] if isinstance(axis, int) else axis
    return math.prod(shape[a] for a in axes)


def mean(x, axis=None, keepdims=False):
    return total(x, axis, keepdims) / count(x, axis)


def variance(x, axis=None, keepdims=False):
    centred = r(x - mean(x, axis, True))
    return total(centred * centred, axis, keepdims) / count(x, axis)


def countable(x):
    x = x if hasattr(x, "dtype") else numpy.asarray(x)
    return x.astype(numpy.int32) if x.dtype in (numpy.bool_, numpy.uint8) else x


def _sum(x, axis=None, keepdims=False):
    x = countable(x)
    if x.dtype.kind == "i":
        return numpy.sum(x, axis, keepdims=keepdims, dtype=numpy.int32)
    return total(x, axis, keepdims)


def _prod(x, axis=None, keepdims=False):
    x = countable(x)
    if x.dtype.kind == "i":
        return numpy.prod(x, axis, keepdims=keepdims, dtype=numpy.int32)
    # Factor by factor: the gradient that autograd has for products divides by the factors.
    rank = value(x).ndim
    axes = [a % rank for a in (range(rank) if axis is None else [axis] if isinstance(axis, int) else axis)]
    kept = [n if a not in axes else 1 for a, n in enumerate(value(x).shape)]
    rest = [a for a in range(rank) if a not in axes]
    moved = np.reshape(np.transpose(x, rest + axes), (*(value(x).shape[a] for a in rest), -1))
    while (n := value(moved).shape[-1]) > 1:  # halves, so that the graph stays short
        pairs = r(moved[..., : n // 2] * moved[..., n // 2 : n // 2 * 2])
        moved = np.concatenate([pairs, moved[..., n // 2 * 2 :]], -1)
    # The order of the factors decides which of 0, infinity and NaN their product is.
    size = numpy.abs(value(x))
    large = numpy.prod(numpy.where(size <= 1, 1.0, size), axis=tuple(axes), keepdims=True)
    small = numpy.prod(numpy.where((size > 0) & (size < 1), size, 1.0), axis=tuple(axes), keepdims=True)
    certain = (large < LARGEST) & (small >= SMALLEST)
    moved = uncertain(moved, ~numpy.reshape(certain, value(moved).shape))
    return np.reshape(moved, kept if keepdims else [value(x).shape[a] for a in rest])


def _norm(x, ord=None, axis=None, keepdims=False):
    size = np.abs(lift(x))
    if ord == math.inf:
        return np.max(size, axis=axis, keepdims=keepdims)
    if ord == 1:
        return total(size, axis, keepdims)
    if ord == 3:
        return r(total(size**3, axis, keepdims) ** (1 / 3))
    return r(np.sqrt(total(size * size, axis, keepdims)))


def reducing(kind=None, dtype=None, **attributes):
    def draw(d):
        x = d.pick(dtype=dtype) if dtype else d.number(kind)
        if x is None or d.size(x) == 0:
            return None
        kwargs = d.maybe(axis=d.axes(x), keepdims=True)
        for key, choices in attributes.items():
            kwargs.update(d.maybe(**{key: d.choose(choices)}))
        return Call([x], kwargs)

    return draw


def flat(draw):
    """Draws one axis or none instead of several."""

    def one(d):
        call = draw(d)
        if call and isinstance(call.kwargs.get("axis"), (list, tuple)):
            del call.kwargs["axis"]
        return call

    return one


row("ops.sum", reducing(), _sum, often=3)
row("ops.sum|int", reducing(dtype="int32"), _sum, often=0.5)
row("ops.sum|bool", reducing(dtype="bool"), _sum, often=0.3)


def _few(draw):
    """At most as many factors as float32 can multiply without overflow."""

    def one(d):
        call = draw(d)
        return call if call and count(d.values[call.args[0].index], call.kwargs.get("axis")) <= 64 else None

    return one


row("ops.prod", _few(reducing("positive")), _prod)
row("ops.prod|counts", _few(reducing("counts")), _prod, often=0.5)
row("ops.mean", reducing(), lambda x, **k: r(mean(lift(x), **k)), often=2)
row("ops.var", reducing(), lambda x, **k: r(variance(lift(x), **k)))
row("ops.std", reducing(), lambda x, **k: r(np.sqrt(variance(lift(x), **k))))
for name, f in {"max": np.max, "amax": np.max, "min": np.min, "amin": np.min}.items():
    row(f"ops.{name}", reducing(), lambda x, f=f, **k: f(x, **k), kinks=True)
row("ops.ptp", reducing(), lambda x, **k: r(np.max(x, **k) - np.min(x, **k)), kinks=True)
row("ops.any", reducing(dtype="bool"), lambda x, **k: numpy.any(truth(x), **k), often=0.3)
row("ops.all", reducing(dtype="bool"), lambda x, **k: numpy.all(truth(x), **k), often=0.3)
row("ops.any|number", reducing("counts"), lambda x, **k: numpy.any(truth(x), **k), often=0.2)


def _without_keepdims(draw):
    def one(d):
        call = draw(d)
        if call:
            call.kwargs.pop("keepdims", None)
        return call

    return one


row(
    "ops.count_nonzero",
    _without_keepdims(reducing("counts")),
    lambda x, axis=None: numpy.sum(truth(x), axis, dtype=numpy.int32),
    often=0.4,
)


def _arg(f):
    def reference(x, axis=None, keepdims=False):
        return f(value(x), axis, keepdims=keepdims).astype(numpy.int32)

    return reference


row("ops.argmax", flat(reducing()), _arg(numpy.argmax), often=0.5)
row("ops.argmin", flat(reducing()), _arg(numpy.argmin), often=0.5)


def _average(x, axis=None, weights=None):
    if weights is None:
        return mean(x, axis)
    if value(weights).ndim != value(x).ndim:
        if value(weights).shape != (value(x).shape[axis],):
            raise ValueError(f"weights of shape {value(weights).shape} do not fit {value(x).shape}")
        weights = np.reshape(weights, [-1 if a == axis % x.ndim else 1 for a in range(x.ndim)])
        weights = weights + numpy.zeros(value(x).shape)
    elif value(weights).shape != value(x).shape:
        raise ValueError(f"weights of shape {value(weights).shape} do not fit {value(x).shape}")
    return r(total(r(x * weights), axis) / total(weights, axis))


def _draw_average(d):
    x = d.number()
    if not d.rank(x) or not d.size(x):
        return None
    axis = d.axis(x)
    shape = d.shape(x) if d.flip() else (d.shape(x)[axis],)
    return Call([x], {"axis": axis, "weights": d.fresh(shape, "positive")} if d.flip() else {"axis": axis})


row("ops.average", _draw_average, _average)


def logsumexp(x, axis=None, keepdims=False):
    top = numpy.max(value(x), axis=axis, keepdims=True)
    top = numpy.where(numpy.isfinite(top), top, 0.0)
    sums = total(r(np.exp(r(x - top))), axis, True)
    result = r(np.log(sums)) + top
    if keepdims:
        return r(result)
    shape = numpy.shape(numpy.sum(value(x), axis))
    return r(np.reshape(result, shape))


row("ops.logsumexp", reducing(), lambda x, **k: logsumexp(lift(x), **k), often=1.5)
row(
    "ops.norm",
    lambda d: (
        (c := reducing()(d))
        and Call(
            c.args,
            {
                **c.kwargs,
                **(
                    d.maybe(ord=d.choose([1, 2, 3, math.inf]))
                    if isinstance(c.kwargs.get("axis"), int)
                    else {}
                ),
            },
        )
    ),
    _norm,
    kinks=True,
)


def matmul(a, b):
    depth = value(a).shape[-1]
    product = np.matmul(noisy(a, max(1.0, depth**0.5 / 32)), noisy(b))
    largest = numpy.max(numpy.abs(value(a)), initial=0.0) * numpy.max(numpy.abs(value(b)), initial=0.0)
    if not largest < 3e38:
        # A product beyond float32 is infinite before anything is added.
        with numpy.errstate(all="ignore"):
            terms = numpy.asarray(value(a)[..., :, :, None] * value(b)[..., None, :, :], numpy.float32)
            sums = numpy.sum(terms.astype(numpy.float64), axis=-2)
        # Not so with fused multiply-adds, where an infinite sum stays so whatever finite factors come next.
        fused = numpy.isnan(sums) & ~numpy.isnan(value(product))
        product = uncertain(product + numpy.where(numpy.isfinite(sums), 0.0, sums), fused)
    return r(product, max(1.0, depth**0.5 / 16))


def _draw_matmul(d):
    x = d.pick(where=lambda v: v.ndim >= 2 and v.size and v.shape[-1] <= 5000) or d.fresh(
        (d.extent(), d.extent())
    )
    depth = d.shape(x)[-1]
    y = None
    if d.flip(0.4):
        y = d.pick(where=lambda v: v.ndim == 2 and v.shape[0] == depth)
    batch = d.shape(x)[:-2] if d.flip(0.3) else ()
    return Call([x, y or d.fresh((*batch, depth, d.extent()), "small")])


row("ops.matmul", _draw_matmul, lambda a, b: matmul(lift(a), lift(b)), often=3)
row(
    "{0} @ {1}",
    lambda d: (c := _draw_matmul(d)) and Call([d.as_tensor(c.args[0]), c.args[1]]),
    lambda a, b: matmul(lift(a), lift(b)),
    often=1,
)


def _contract(a, b, first, second):
    kept1 = [i for i in range(a.ndim) if i not in first]
    kept2 = [i for i in range(b.ndim) if i not in second]
    size = math.prod(value(a).shape[i] for i in first)
    left = np.reshape(np.transpose(a, kept1 + first), (math.prod(value(a).shape[i] for i in kept1), size))
    right = np.reshape(np.transpose(b, second + kept2), (size, math.prod(value(b).shape[i] for i in kept2)))
    shape = [value(a).shape[i] for i in kept1] + [value(b).shape[i] for i in kept2]
    return np.reshape(matmul(left, right), shape)


def _dot(a, b):
    if not a.ndim or not b.ndim:
        return r(a * b)
    return _contract(a, b, [a.ndim - 1], [max(b.ndim - 2, 0)])


def _draw_dot(d):
    x = d.pick(where=lambda v: 0 < v.ndim < 4 and v.size)
    if x is None:
        return None
    depth = d.shape(x)[-1]
    return Call([x, d.fresh((depth,) if d.flip() else (depth, d.extent()), "small")])


row("ops.dot", _draw_dot, _dot)
row(
    "ops.inner",
    lambda d: (
        (x := d.pick(where=lambda v: 0 < v.ndim < 4))
        and Call([x, d.fresh((d.small(), d.shape(x)[-1]), "small")])
    ),
    lambda a, b: _contract(a, b, [a.ndim - 1], [b.ndim - 1]),
)
row(
    "ops.outer",
    lambda d: Call([d.fresh((d.extent(),)), d.fresh((d.extent(),))]),
    lambda a, b: r(np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))),
)
row(
    "ops.vdot",
    lambda d: (x := d.number()) and Call([x, d.fresh(d.shape(x))]),
    lambda a, b: np.reshape(matmul(np.reshape(lift(a), (1, -1)), np.reshape(lift(b), (-1, 1))), ()),
)


def _tensordot(a, b, axes=2):
    if isinstance(axes, int):
        return _contract(a, b, list(range(a.ndim - axes, a.ndim)), list(range(axes)))
    return _contract(a, b, *([n % x.ndim for n in part] for x, part in zip((a, b), axes, strict=True)))


def _draw_tensordot(d):
    x = d.pick(where=lambda v: 2 <= v.ndim <= 4 and v.size)
    if x is None:
        return None
    shape = d.shape(x)
    if d.flip():
        n = d.choose([1, 2])
        return Call([x, d.fresh((*shape[len(shape) - n :], d.small()), "small")], {"axes": n})
    a, b = d.rng.permutation(len(shape))[:2].tolist()
    y = d.fresh((shape[b], d.small(), shape[a]), "small")
    return Call([x, y], {"axes": [[a, b], [2, 0]]})


row("ops.tensordot", _draw_tensordot, _tensordot)
