"""Rows of what sorts, counts, scans and scatters, of special functions and of numpy's helpers.

What picks elements by their order takes leaves: rounding would pick others.
"""

from __future__ import annotations

import math

import autograd.numpy as np
import autograd.scipy.special as special
import numpy

from fuzz.integers import beside, integers
from fuzz.integers import exact as of_integers
from fuzz.movement import cut, exact
from fuzz.pointwise import add_unary, lift
from fuzz.reductions import count, mean, variance
from fuzz.rounding import noisy, r, total, value
from fuzz.table import Call
from fuzz.table import row as add_row


def row(name, draw, reference, **flags):
    """A row whose draw may end in anything false where nothing fits."""
    add_row(name, lambda d: draw(d) or None, reference, **flags)


def leaf(d, rank=None, kind="counts"):
    shape = d.some_shape() if rank is None else [d.small() + 1 for _ in range(rank)]
    return d.fresh(shape, kind)


for name, f, kind in [
    ("arccos", np.arccos, "unit"),
    ("arccosh", np.arccosh, "positive"),
    ("arcsin", np.arcsin, "unit"),
    ("arcsinh", np.arcsinh, None),
    ("arctan", np.arctan, None),
    ("arctanh", np.arctanh, "unit"),
    ("erfc", special.erfc, None),
    ("erfinv", special.erfinv, "unit"),
]:
    add_unary(name, f, kind, often=0.5)
add_unary("cbrt", lambda x: np.sign(x) * np.abs(x) ** (1 / 3), "positive", often=0.5)
add_unary("fabs", np.abs, kinks=True, often=0.3)
for name in ("real", "conj", "conjugate"):
    exact(f"ops.{name}", lambda d: Call([d.number()]), lambda x: x, often=0.2)
exact("ops.imag", lambda d: Call([d.number()]), lambda x: numpy.zeros(numpy.shape(value(x))), often=0.2)
exact("ops.isreal", lambda d: Call([d.number()]), lambda x: numpy.isreal(value(x)), often=0.2)
for name in ("isneginf", "isposinf", "signbit"):
    f = getattr(numpy, name)
    exact(f"ops.{name}", lambda d: Call([leaf(d)]), lambda x, f=f: f(value(x)), often=0.3)


def plain(f):
    """A reference that numpy computes, and no gradient flows through."""
    return lambda *args, **kwargs: numpy.asarray(f(*(value(lift(a)) for a in args), **kwargs))


def steep(name, draw, f, often=0.4):
    row(f"ops.{name}", draw, plain(f), grad=False, often=often)


def _pair(d):
    x = leaf(d, kind="normal")
    return Call([x, d.fresh(d.shape(x), "normal")])


def _angle(x):
    x = value(lift(x))
    return numpy.where(numpy.isnan(x), x, numpy.angle(x))


def _sinc(x):
    """sin(πx) / πx, where rounding πx decides what is left of the sine of whole numbers."""
    angle = r(math.pi * lift(x))
    zero = value(angle) == 0
    angle = np.where(zero, 1.0, angle)
    return np.where(zero, 1.0, r(r(np.sin(angle)) / angle))


row("ops.arctan2", _pair, lambda x, y: r(np.arctan2(lift(x), lift(y))), often=0.5)
steep("angle", lambda d: Call([d.fresh(d.some_shape(), "normal")]), _angle)
steep("fmax", _pair, numpy.fmax)
steep("fmin", _pair, numpy.fmin)
steep("fmod", _pair, numpy.fmod)
steep("heaviside", _pair, numpy.heaviside)
row("ops.sinc", lambda d: Call([d.fresh(d.some_shape(), "normal")]), _sinc, grad=False, often=0.4)
steep("i0", lambda d: Call([d.fresh(d.some_shape(), "normal")]), numpy.i0)
steep("nextafter", _pair, lambda x, y: numpy.nextafter(x.astype("f"), y.astype("f")).astype(float))
row(
    "ops.logaddexp2",
    _pair,
    lambda x, y: r(np.logaddexp(lift(x) * math.log(2), lift(y) * math.log(2)) / math.log(2)),
    often=0.4,
)
row(
    "ops.ldexp",
    lambda d: Call([leaf(d, kind="normal"), d.below(9) - 4]),
    lambda x, n: r(lift(x) * 2.0**n),
    often=0.4,
)

for name, f in [
    ("bitwise_and", numpy.bitwise_and),
    ("bitwise_or", numpy.bitwise_or),
    ("bitwise_xor", numpy.bitwise_xor),
    ("gcd", lambda x, y: numpy.gcd(x.astype("q"), y.astype("q")).astype("i")),
]:
    of_integers(f"ops.{name}|int", lambda d: Call([x := integers(d), beside(d, x)]), f, often=0.4)
for name in ("bitwise_invert", "bitwise_not"):
    of_integers(f"ops.{name}|int", lambda d: Call([integers(d)]), numpy.invert, often=0.3)
for names, f in [
    (("bitwise_left_shift", "left_shift"), numpy.left_shift),
    (("bitwise_right_shift", "right_shift"), numpy.right_shift),
]:
    for name in names:
        of_integers(
            f"ops.{name}|int",
            lambda d: Call([integers(d), d.below(31)]),
            lambda x, n, f=f: f(x, numpy.int32(n)),
            often=0.3,
        )
of_integers(
    "ops.lcm|int",
    lambda d: Call([x := d.fresh(d.some_shape(), 30, "int32"), d.fresh(d.shape(x), 30, "int32")]),
    numpy.lcm,
    often=0.3,
)


# ---- orders


def along(d, least=1):
    """A leaf with one of its axes."""
    x = leaf(d)
    if not d.rank(x) or min(d.shape(x)) < least:
        return None
    return x, d.axis(x)


def on_axis(name, f, **flags):
    def draw(d):
        found = along(d)
        return found and Call([found[0]], {"axis": found[1]})

    row(f"ops.{name}", draw, f, **flags)


on_axis("sort", lambda x, axis: np.sort(lift(x), axis), often=0.6)
on_axis("argsort", plain(lambda x, axis: numpy.argsort(x, axis, kind="stable").astype("i")), often=0.5)
row(
    "ops.argpartition",
    lambda d: (found := along(d)) and Call([found[0], 0], {"axis": found[1]}),
    plain(lambda x, kth, axis: numpy.argsort(x, axis, kind="stable").astype("i")),
    often=0.2,
)


def _top_k(x, k):
    order = numpy.argsort(-value(lift(x)), axis=-1, kind="stable")[..., :k]
    return [numpy.take_along_axis(value(lift(x)), order, -1), order.astype("i")]


row(
    "ops.top_k",
    lambda d: (x := leaf(d)) and d.rank(x) and Call([x, d.below(d.shape(x)[-1] + 1)]),
    _top_k,
    grad=False,
    often=0.5,
)
row(
    "ops.isin",
    lambda d: Call([leaf(d), leaf(d)], d.maybe(invert=True)),
    plain(numpy.isin),
    often=0.4,
)
row(
    "ops.digitize",
    lambda d: Call([leaf(d), sorted(d.rng.normal(size=5).tolist())]),
    plain(lambda x, bins: numpy.digitize(x, numpy.float32(bins)).astype("i")),
    often=0.3,
)
row(
    "ops.searchsorted",
    lambda d: Call([sorted(d.below(5) for _ in range(6)), leaf(d)], d.maybe(side="right")),
    plain(lambda s, v, side="left": numpy.searchsorted(s, v, side).astype("i")),
    often=0.3,
)
row(
    "ops.unique",
    lambda d: Call([leaf(d)], {"size": d.small() + 2, "fill_value": 9.0}),
    plain(lambda x, size, fill_value: numpy.r_[numpy.unique(x), [fill_value] * size][:size]),
    grad=False,
    often=0.3,
)


def _levels(d, q):
    x = leaf(d)
    if not d.size(x):
        return None
    return Call(
        [x, q], d.maybe(axis=d.axes(x), keepdims=True, method=d.choose(["lower", "linear", "nearest"]))
    )


steep("quantile", lambda d: _levels(d, d.choose([0.25, 0.5])), numpy.quantile)
steep("percentile", lambda d: _levels(d, d.choose([25, 75])), numpy.percentile)
steep("nanquantile", lambda d: _levels(d, 0.5), numpy.nanquantile)
steep("nanpercentile", lambda d: _levels(d, 50), numpy.nanpercentile)


def _reduced(d):
    x = leaf(d)
    return Call([x], d.maybe(axis=d.axes(x), keepdims=True)) if d.size(x) else None


def _one_axis(d):
    x = leaf(d)
    return Call([x], d.maybe(axis=d.axis(x), keepdims=True)) if d.size(x) and d.rank(x) else None


steep("median", _reduced, numpy.median)
for name in ("nanmedian", "nanmax", "nanmin"):
    steep(name, _reduced, getattr(numpy, name), often=0.3)
for name, f in {"nanargmax": numpy.nanargmax, "nanargmin": numpy.nanargmin}.items():
    steep(name, _one_axis, lambda x, f=f, **k: f(x, **k).astype("i"), often=0.3)
row("ops.nansum", _reduced, lambda x, **k: total(lift(x), **k), often=0.3)
row("ops.nanmean", _reduced, lambda x, **k: r(mean(lift(x), **k)), often=0.3)
row("ops.nanvar", _reduced, lambda x, **k: r(variance(lift(x), **k)), often=0.3)
steep("nanstd", _reduced, numpy.std, often=0.3)


def _few_factors(d):
    call = _reduced(d)
    return call if call and count(d.values[call.args[0].index], call.kwargs.get("axis")) < 12 else None


row("ops.nanprod", _few_factors, plain(numpy.prod), grad=False, often=0.3)
row(
    "ops.cumprod",
    lambda d: (x := leaf(d, 2)) and Call([x], {"axis": d.axis(x)}),
    lambda x, axis: r(numpy.cumprod(value(lift(x)), axis)),
    grad=False,
    often=0.4,
)
for name in ("nancumsum", "nancumprod"):
    f = getattr(numpy, name)
    steep(name, lambda d: (x := leaf(d, 2)) and Call([x], {"axis": d.axis(x)}), f, often=0.2)


# ---- rows by index


def _places(d, shape, depth, rows):
    return [[d.below(n) for n in shape[:depth]] for _ in range(rows)]


def _draw_scatter(d):
    shape = [d.small() + 1 for _ in range(2)]
    rows = d.small() + 1
    return Call([_places(d, shape, 1, rows), d.fresh((rows, shape[1]), "normal"), shape])


def _scatter(indices, values, shape):
    place = numpy.zeros((shape[0], len(indices)))
    place[[at[0] for at in indices], range(len(indices))] = 1
    return r(noisy(np.dot(place, lift(values)), len(indices)))


row("ops.scatter", _draw_scatter, _scatter, often=0.6)


def _draw_update(d):
    shape = [d.small() + 1 for _ in range(2)]
    rows = d.small()
    reduction = d.choose([None, "add", "max", "min", "mul"])
    args = [d.fresh(shape, "counts"), _places(d, shape, 2, rows + 1), d.fresh((rows + 1,), "counts")]
    return Call(args, {"reduction": reduction} if reduction else {})


def _update(x, indices, updates, reduction=None):
    y = numpy.array(value(lift(x)))
    for at, u in zip(indices, value(lift(updates)), strict=True):
        at = tuple(at)
        pairs = {None: u, "add": y[at] + u, "max": max(y[at], u), "min": min(y[at], u), "mul": y[at] * u}
        y[at] = pairs[reduction]
    return y


row("ops.scatter_update", _draw_update, _update, grad=False, often=0.6)


def _draw_block(d):
    shape = [d.small() + 2 for _ in range(2)]
    starts = [d.below(2), d.below(2)]
    return Call([d.fresh(shape, "normal"), starts, d.fresh([n - 1 for n in shape], "normal")])


def _block(x, starts, updates):
    x, updates = lift(x), lift(updates)
    shape = value(updates).shape
    rest = [(s, w - s - k) for s, w, k in zip(starts, value(x).shape, shape, strict=True)]
    inside = numpy.pad(numpy.ones(shape), rest)
    return np.where(inside > 0, np.pad(updates, rest, "constant"), x)


row("ops.slice_update", _draw_block, _block, often=0.4)


def _draw_segments(d):
    rows = d.small() + 1
    return Call([d.fresh((rows, 3), "counts"), [d.below(4) for _ in range(rows)]], {"num_segments": 3})


def _segments(f, start):
    def reference(data, ids, num_segments):
        y = numpy.full((num_segments, 3), start, float)
        for row_of, at in zip(value(lift(data)), ids, strict=True):
            if at < num_segments:
                y[at] = f(y[at], row_of)
        return y

    return reference


for name, f, start in [
    ("segment_sum", numpy.add, 0),
    ("segment_prod", numpy.multiply, 1),
    ("segment_max", numpy.maximum, -numpy.inf),
    ("segment_min", numpy.minimum, numpy.inf),
]:
    row(f"ops.{name}", _draw_segments, _segments(f, start), grad=False, often=0.3)
row(
    "ops.bincount",
    lambda d: Call([[d.below(5) for _ in range(8)]], {"minlength": 7}),
    lambda x, minlength: numpy.bincount(x, minlength=minlength).astype("i"),
    often=0.3,
)
row(
    "ops.histogram",
    lambda d: Call([d.fresh((d.extent(),), "counts")], {"bins": 4, "range": (-2.5, 2.5)}),
    lambda x, **k: [
        y.astype(t) for y, t in zip(numpy.histogram(value(lift(x)), **k), ("i", float), strict=True)
    ],
    grad=False,
    often=0.3,
)


# ---- arrangements


def matrix(d):
    return d.any(where=lambda v: v.ndim == 2)


for name in ("fliplr", "flipud"):
    exact(
        f"ops.{name}",
        lambda d: (x := d.any(where=lambda v: v.ndim >= 2)) and Call([x]),
        getattr(np, name),
        often=0.3,
    )
exact(
    "ops.rot90",
    lambda d: (x := d.any(where=lambda v: v.ndim >= 2)) and Call([x, d.below(5) - 2]),
    lambda x, k: np.rot90(x, k),
    often=0.3,
)
exact(
    "ops.diag",
    lambda d: (x := matrix(d)) and Call([x, d.below(3) - 1]),
    lambda x, k: np.diag(x, k),
    often=0.3,
)
exact(
    "ops.diagflat",
    lambda d: (x := d.any(where=lambda v: 0 < v.size < 40)) and Call([x, d.below(3) - 1]),
    lambda x, k: np.diag(np.reshape(x, (-1,)), k),
    often=0.3,
)
for name, axis, rank in [("hsplit", 1, 2), ("vsplit", 0, 2), ("dsplit", 2, 3)]:
    exact(
        f"ops.{name}",
        lambda d, axis=axis, rank=rank: (
            (x := d.any(where=lambda v: v.ndim >= rank and v.shape[axis] > 1)) and Call([x, [1]])
        ),
        lambda x, places, axis=axis: _pieces(x, [0, *places, value(x).shape[axis]], axis),
        often=0.3,
    )


def _pieces(x, places, axis):
    return [cut(x, axis, a, b) for a, b in zip(places[:-1], places[1:], strict=True)]


def _array_split(x, parts, axis):
    extent = value(x).shape[axis]
    lengths = [extent // parts + (i < extent % parts) for i in range(parts)]
    return _pieces(x, [0, *numpy.cumsum(lengths).tolist()], axis)


exact(
    "ops.array_split",
    lambda d: (x := d.any(where=lambda v: v.ndim and v.shape[0] > 2)) and Call([x, 2], {"axis": 0}),
    _array_split,
    often=0.3,
)
exact("ops.dstack", lambda d: (x := matrix(d)) and Call([[x, x]]), lambda xs: np.stack(xs, 2), often=0.3)
exact(
    "ops.column_stack",
    lambda d: (x := matrix(d)) and Call([[x, x]]),
    lambda xs: np.concatenate(xs, 1),
    often=0.3,
)
exact("ops.empty_like", lambda d: Call([d.number()]), lambda x: numpy.zeros(value(x).shape), often=0.2)
row(
    "ops.vander",
    lambda d: Call([d.fresh((d.small() + 1,), "counts")], {"N": 3}),
    lambda x, N: np.stack([lift(x) ** 2, lift(x), lift(x) * 0 + 1], 1),
    grad=False,
    often=0.3,
)
row(
    "ops.kron",
    lambda d: (x := matrix(d)) and d.size(x) < 60 and Call([x, d.fresh((2, 3), "normal")]),
    lambda x, y: r(np.kron(lift(x), lift(y))),
    grad=False,
    often=0.3,
)
row(
    "ops.cross",
    lambda d: Call([d.fresh((d.small() + 1, 3), "normal"), d.fresh((3,), "normal")]),
    lambda x, y: r(numpy.cross(value(lift(x)), value(lift(y)))),
    grad=False,
    often=0.3,
)


def _correlate(x, y, mode):
    return numpy.asarray(numpy.correlate(value(lift(x)), value(lift(y)), mode))


steep("corrcoef", lambda d: Call([d.fresh((3, 9), "normal")]), numpy.corrcoef, often=0.2)
row(
    "ops.correlate",
    lambda d: Call(
        [d.fresh((d.small() + 4,), "normal"), d.fresh((3,), "normal"), d.choose(["same", "full"])]
    ),
    _correlate,
    grad=False,
    often=0.3,
)
row(
    "ops.trapezoid",
    lambda d: (x := matrix(d)) and d.shape(x)[1] > 1 and Call([x], {"dx": 0.5, "axis": 1}),
    lambda x, dx, axis: total(noisy(lift(x)[:, 1:] + lift(x)[:, :-1]) * 0.5 * dx, axis),
    often=0.3,
)
row(
    "ops.unravel_index",
    lambda d: Call([[d.below(12) for _ in range(5)], (3, 4)]),
    lambda x, shape: [i.astype("i") for i in numpy.unravel_index(x, shape)],
    often=0.2,
)
exact(
    "ops.select",
    lambda d: Call([[d.mask(x := d.number())], [x]]),
    lambda conditions, choices: np.where(conditions[0], choices[0], 0.0),
    often=0.3,
)
exact(
    "ops.rearrange",
    lambda d: (x := matrix(d)) and Call([x, "a b -> (b a)"]),
    lambda x, pattern: np.reshape(np.transpose(x), (-1,)),
    often=0.3,
)
for name in ("bartlett", "blackman", "hamming", "hanning"):
    row(f"ops.{name}", lambda d: Call([d.small()]), getattr(numpy, name), often=0.1)
row("ops.kaiser", lambda d: Call([d.small(), 2.5]), numpy.kaiser, often=0.1)
row("ops.geomspace", lambda d: Call([1.0, 8.0, d.small()]), numpy.geomspace, often=0.1)
