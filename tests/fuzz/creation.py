"""Rows of what makes tensors from constants."""

from __future__ import annotations

import numpy

from fuzz.pointwise import wide
from fuzz.rounding import value
from fuzz.table import Call, row

FLOATS = {"float32": "float64"}


def _typed(x, dtype="float32"):
    return numpy.asarray(x).astype(FLOATS.get(dtype or "float32", dtype))


def shape(d):
    return [d.small() for _ in range(d.choose([0, 1, 2, 3]))]


def dtype(d):
    return d.maybe(dtype=d.choose(["float32", "int32", "bool"]))


rare = {"often": 0.15}
row(
    "ops.zeros",
    lambda d: Call([shape(d)], dtype(d)),
    lambda s, dtype="float32": _typed(numpy.zeros(s), dtype),
    **rare,
)
row(
    "ops.ones",
    lambda d: Call([shape(d)], dtype(d)),
    lambda s, dtype="float32": _typed(numpy.ones(s), dtype),
    **rare,
)
row(
    "ops.full",
    lambda d: Call([shape(d), d.choose([0.5, -2.0, -0.0])]),
    lambda s, x: numpy.full(s, x, numpy.float64),
    **rare,
)
row(
    "ops.zeros_like",
    lambda d: Call([d.any()]),
    lambda x: numpy.zeros_like(value(x)),
    **rare,
)
row("ops.ones_like", lambda d: Call([d.any()]), lambda x: numpy.ones_like(value(x)), **rare)
row(
    "ops.full_like",
    lambda d: Call([d.number(), d.choose([0.5, 3.0])]),
    lambda x, v: numpy.full_like(value(x), v),
    **rare,
)
row(
    "ops.eye",
    lambda d: Call([d.small(), d.small()], d.maybe(k=d.choose([-1, 1]))),
    lambda n, m, k=0: numpy.eye(n, m, k),
    **rare,
)
row("ops.identity", lambda d: Call([d.small()]), lambda n: numpy.eye(n), **rare)
row(
    "ops.tri",
    lambda d: Call([d.small(), d.small()], d.maybe(k=d.choose([-1, 1]))),
    lambda n, m, k=0: numpy.tri(n, m, k),
    **rare,
)
row(
    "ops.arange",
    lambda d: Call(
        [d.choose([0, 1, -2]), d.extent() + 1],
        d.maybe(step=d.choose([1, 2, 3]), dtype=d.choose(["float32", "int32"])),
    ),
    lambda a, b, step=1, dtype="int32": _typed(numpy.arange(a, b, step), dtype),
    **rare,
)
row(
    "ops.linspace",
    lambda d: Call([0.0, d.choose([1.0, -3.0])], {"num": d.extent(), **d.maybe(endpoint=False)}),
    lambda a, b, **k: numpy.linspace(a, b, **k).astype("float32").astype(float),
    **rare,
)
row(
    "ops.logspace",
    lambda d: Call([0.0, d.choose([1.0, -2.0])], {"num": d.extent(), **d.maybe(base=2)}),
    lambda a, b, **k: numpy.logspace(a, b, **k).astype("float32").astype(float),
    **rare,
)
row(
    "ops.meshgrid",
    lambda d: Call([d.fresh((d.small(),)), d.fresh((d.small(),))], d.maybe(indexing="ij")),
    lambda x, y, indexing="xy": _grids(x, y, indexing),
    often=0.4,
)


def _grids(x, y, indexing):
    columns, rows = ((1, -1), (-1, 1)) if indexing == "xy" else ((-1, 1), (1, -1))
    x, y = x.reshape(columns), y.reshape(rows)
    shape = numpy.broadcast_shapes(value(x).shape, value(y).shape)
    return [wide(x, shape), wide(y, shape)]


for name in ("convert_to_tensor", "array"):
    row(f"ops.{name}", lambda d: Call([d.any()]), lambda x: x, **rare)
