"""Rows of int32, exact: sums and products keep the low 32 bits, as numpy's do."""

from __future__ import annotations

import numpy

from fuzz.movement import cut
from fuzz.pointwise import lift
from fuzz.reductions import flat, mean, reducing
from fuzz.rounding import r
from fuzz.table import Call, row

# Numbers that float32 does not hold are among those of the kind "large".
ROOM = 2**31


def exact(name, draw, reference, **flags):
    def of_integers(*args, **kwargs):
        with numpy.errstate(all="ignore"):  # numpy warns of scalars that overflow
            y = reference(*args, **kwargs)
        return numpy.asarray(y)

    row(name, draw, of_integers, **flags)


def integers(d):
    """Values met before, or new ones."""
    found = d.pick("int32")
    return d.fresh(d.some_shape(), "large", "int32") if found is None or d.flip(0.3) else found


def beside(d, x):
    """What broadcasts with `x`."""
    shape = d.shape(x)
    found = d.pick("int32", lambda v: v.shape == shape) if d.flip() else None
    if found is not None:
        return found
    if d.flip(0.3):
        shape = tuple(1 if d.flip() else n for n in shape)
    elif d.flip(0.4):
        shape = shape[len(shape) - d.below(len(shape) + 1) :]
    return d.fresh(shape, "large", "int32")


def number(d):
    return d.choose([0, 1, -1, 3, 2**24 + 1, -(2**24) - 3, ROOM - 1, -ROOM])


UNARY = {
    "abs": numpy.abs,
    "absolute": numpy.abs,
    "negative": numpy.negative,
    "sign": numpy.sign,
    "square": numpy.square,
    "round": lambda x: x,
}
for name, f in UNARY.items():
    exact(f"ops.{name}|int", lambda d: Call([integers(d)]), f, often=0.3)
exact("-{0}|int", lambda d: Call([d.as_tensor(integers(d))]), numpy.negative, often=0.3)


def _pair(d):
    x = integers(d)
    return Call([x, number(d)]) if d.flip(0.3) else Call([x, beside(d, x)])


BINARY = """add subtract multiply maximum minimum mod floor_divide equal not_equal less less_equal greater
    greater_equal""".split()
for name, function in [(name, getattr(numpy, name)) for name in BINARY]:
    exact(
        f"ops.{name}|int",
        _pair,
        lambda x, y, f=function: f(x, numpy.int32(y) if isinstance(y, int) else y),
        often=0.4,
    )
for symbol, function in {"+": numpy.add, "-": numpy.subtract, "*": numpy.multiply}.items():
    exact(
        f"{{0}} {symbol} {{1}}|int",
        lambda d: Call([d.as_tensor(x := integers(d)), beside(d, x)]),
        function,
        often=0.3,
    )
    exact(
        f"{{0}} {symbol} {{1}}|int number",
        lambda d: Call([d.as_tensor(integers(d)), number(d)]),
        lambda x, y, f=function: f(x, numpy.int32(y)),
        often=0.3,
    )
for symbol, function in {">": numpy.greater, "<=": numpy.less_equal}.items():
    exact(
        f"{{0}} {symbol} {{1}}|int number",
        lambda d: Call([d.as_tensor(integers(d)), number(d)]),
        lambda x, y, f=function: f(x, numpy.int32(y)),
        often=0.3,
    )
exact(
    "ops.power|int",
    lambda d: Call([integers(d), d.choose([0, 1, 2, 3, 7])]),
    lambda x, y: numpy.power(x, numpy.int32(y)),
    often=0.3,
)
exact(
    "ops.where|int",
    lambda d: Call([d.mask(x := integers(d)), x, beside(d, x)]),
    lambda c, x, y: numpy.where(c, x, y),
)
exact(
    "ops.clip|int",
    lambda d: Call([integers(d), d.choose([-ROOM, -5, 2**24 + 1]), d.choose([2**24 + 3, ROOM - 1])]),
    numpy.clip,
    often=0.4,
)


def some(draw):
    """With a value of integers, new where none was met."""

    def drawn(d):
        integers(d)
        return draw(d)

    return drawn


for name, reduction in {"max": numpy.max, "amax": numpy.max, "min": numpy.min, "amin": numpy.min}.items():
    exact(f"ops.{name}|int", some(reducing(dtype="int32")), reduction, often=0.3)
exact(
    "ops.ptp|int",
    some(reducing(dtype="int32")),
    lambda x, **k: numpy.max(x, **k) - numpy.min(x, **k),
    often=0.3,
)
for name, place in {"argmax": numpy.argmax, "argmin": numpy.argmin}.items():
    exact(
        f"ops.{name}|int",
        some(flat(reducing(dtype="int32"))),
        lambda x, f=place, **k: f(x, **k).astype(numpy.int32),
        often=0.3,
    )
exact(
    "ops.prod|int",
    some(reducing(dtype="int32")),
    lambda x, **k: numpy.prod(x, dtype=numpy.int32, **k),
    often=0.3,
)
row("ops.mean|int", some(reducing(dtype="int32")), lambda x, **k: r(mean(lift(x), **k)), often=0.3)
for name, logic in {"any": numpy.any, "all": numpy.all}.items():
    exact(f"ops.{name}|int", some(reducing(dtype="int32")), logic, often=0.2)


def _along(f, least):
    def draw(d):
        integers(d)
        x = d.pick("int32", lambda v: v.ndim and v.size and max(v.shape) >= least)
        return x and Call([x], {"axis": d.axis(x, least=least)})

    return draw, f


exact("ops.cumsum|int", *_along(lambda x, axis: numpy.cumsum(x, axis, dtype=numpy.int32), 1), often=0.5)
exact(
    "ops.diff|int",
    *_along(lambda x, axis: cut(x, axis, 1, x.shape[axis]) - cut(x, axis, 0, x.shape[axis] - 1), 2),
    often=0.3,
)


def _matrix(d):
    integers(d)
    return d.pick("int32", lambda v: v.ndim >= 2 and min(v.shape) > 1) or d.fresh(
        (d.small() + 1, d.extent() + 1), "large", "int32"
    )


exact(
    "ops.matmul|int",
    lambda d: Call([x := _matrix(d), d.fresh((d.shape(x)[-1], d.small() + 1), "large", "int32")]),
    lambda x, y: numpy.matmul(x, y),
    often=0.4,
)
exact(
    "ops.trace|int",
    lambda d: Call([_matrix(d)]),
    lambda x: numpy.trace(x, dtype=numpy.int32),
    often=0.3,
)
for name, triangle in {"tril": numpy.tril, "triu": numpy.triu}.items():
    exact(
        f"ops.{name}|int",
        lambda d: Call([_matrix(d)], d.maybe(k=d.choose([-1, 1]))),
        triangle,
        often=0.3,
    )
exact(
    "ops.pad|int",
    lambda d: Call([x := _matrix(d), [[d.below(3), d.below(3)] for _ in d.shape(x)]]),
    lambda x, widths: numpy.pad(x, widths),
    often=0.3,
)
exact(
    "ops.one_hot|int",
    lambda d: Call([d.fresh((d.extent(),), "large", "int32"), d.extent()]),
    lambda x, n: (x[:, None] == numpy.arange(n)).astype(float),
    often=0.3,
)
exact(
    "ops.full|int",
    lambda d: Call([[d.small(), d.small()], number(d)], {"dtype": "int32"}),
    lambda shape, x, dtype: numpy.full(shape, x, dtype),
    often=0.2,
)
exact(
    "ops.full_like|int",
    lambda d: Call([integers(d), number(d)]),
    numpy.full_like,
    often=0.2,
)
exact(
    "ops.arange|int",
    lambda d: Call([start := d.choose([2**24 - 3, -ROOM, ROOM - 100]), start + d.extent()]),
    lambda a, b: numpy.arange(a, b, dtype=numpy.int32),
    often=0.2,
)
exact(
    "ops.saturate_cast|int",
    lambda d: Call([integers(d), "uint8"]),
    lambda x, dtype: numpy.clip(x, 0, 255).astype(dtype),
    often=0.2,
)
