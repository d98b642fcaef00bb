"""Rows of the elementwise functions."""

from __future__ import annotations

import math

import autograd.numpy as np
import numpy
from autograd.extend import defvjp, primitive

from fuzz.rounding import STATE, noisy, r
from fuzz.table import Call, row

erf = primitive(lambda x: numpy.vectorize(math.erf, otypes=[float])(x) if numpy.size(x) else numpy.asarray(x))
defvjp(erf, lambda ans, x: lambda g: g * 2 / math.sqrt(math.pi) * np.exp(-x * x))
logistic = primitive(lambda x: numpy.exp(-numpy.logaddexp(0.0, -x)))
defvjp(logistic, lambda ans, x: lambda g: g * ans * r(1 - r(ans)))
# In float32 the derivative near the ends is the rounding of the value; the reference's noise has to know.
tanh = primitive(numpy.tanh)
defvjp(tanh, lambda ans, x: lambda g: g * r(1 - r(ans * ans)))
expm1 = primitive(numpy.expm1)
defvjp(expm1, lambda ans, x: lambda g: g * r(1 + r(ans)))


def sigmoid(x):
    """Without cancellation at either end."""
    return logistic(x)


def softplus(x):
    """`log(1 + exp(x))`."""
    return np.logaddexp(x, numpy.zeros(_plain(x).shape))


def _plain(x):
    from fuzz.rounding import value

    return value(x)


def lift(x):
    """float64 of whatever number."""
    dtype = getattr(x, "dtype", None)
    return numpy.asarray(x, numpy.float64) if dtype is None or dtype != numpy.float64 else x


def unary(f, kind=None, **flags):
    def draw(d):
        return Call([d.number(kind)])

    return draw, lambda x, **attributes: r(f(lift(x), **attributes)), flags


def add_unary(name, f, kind=None, **flags):
    draw, reference, flags = unary(f, kind, **flags)
    row(f"ops.{name}", draw, reference, model=True, **flags)


def relu(x):
    return np.where(x > 0, x, np.where(numpy.isnan(_plain(x)), x, 0.0))


def clip(x, low, high):
    return np.where(x < low, low, np.where(x > high, high, x))


def relu6(x):
    """The smaller of ReLU and 6: at 0 the derivative is that of ReLU, at 6 that of its first argument."""
    return np.where(x > 6, 6.0, relu(x))


def selu(x):
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return scale * np.where(x > 0, x, alpha * expm1(np.where(x > 0, 0.0, x)))


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * expm1(np.where(x > 0, 0.0, x)))


def celu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * expm1(np.where(x > 0, 0.0, x) / alpha))


def gelu(x, approximate=True):
    if approximate:
        return x * 0.5 * r(1 + r(tanh(r(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))))
    return x * 0.5 * r(1 + r(erf(r(x / math.sqrt(2)))))


KINKED = {
    "relu": relu,
    "relu6": relu6,
    "hard_sigmoid": lambda x: relu6(r(x + 3)) / 6,
    "hard_silu": lambda x: x * relu6(r(x + 3)) / 6,
    "hard_swish": lambda x: x * relu6(r(x + 3)) / 6,
    "hard_tanh": lambda x: clip(x, -1.0, 1.0),
    "sparse_sigmoid": lambda x: clip(r(x + 1) / 2, 0.0, 1.0),
    "sparse_plus": lambda x: np.where(
        x <= -1, 0.0, np.where(x < 1, r(np.where(x < 1, x, 0.0) + 1) ** 2 / 4, x)
    ),
    "selu": selu,
    "abs": np.abs,
    "absolute": np.abs,
}
SMOOTH = {
    "gelu": gelu,
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(x),
    "mish": lambda x: x * tanh(softplus(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "tanh_shrink": lambda x: r(x) - r(tanh(x)),
    "sigmoid": sigmoid,
    "softplus": softplus,
    # 0 and not -0 far to the right.
    "log_sigmoid": lambda x: 0.0 - softplus(-x),
    "tanh": tanh,
    "sin": np.sin,
    "cos": np.cos,
    "exp": np.exp,
    "expm1": expm1,
    "exp2": lambda x: np.exp(r(x * math.log(2))),
    "erf": erf,
    "square": lambda x: x * x,
    "negative": lambda x: -x,
    "deg2rad": lambda x: x * (math.pi / 180),
    "rad2deg": lambda x: x * (180 / math.pi),
    # Neither half rounds to what float32 holds: the engine halves before it overflows.
    "sinh": lambda x: 0.5 * (noisy(np.exp(x)) - noisy(np.exp(-x))),
    "cosh": lambda x: 0.5 * (np.exp(x) + np.exp(-x)),
}
POSITIVE = {
    "log": np.log,
    "log2": lambda x: r(np.log(x)) / math.log(2),
    "log10": lambda x: r(np.log(x)) / math.log(10),
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": lambda x: 1 / x,
}
STEPS = {
    "sign": lambda x: np.sign(x),
    "floor": numpy.floor,
    "ceil": numpy.ceil,
    "trunc": numpy.trunc,
    "isnan": numpy.isnan,
    "isinf": numpy.isinf,
    "isfinite": numpy.isfinite,
}


def _tan(x):
    """Nothing is known where rounding of a large argument passes a pole."""
    if STATE.rng is not None and (numpy.abs(_plain(x)) * STATE.amplitude > 1e-3).any():
        x = x + numpy.where(numpy.abs(_plain(x)) * STATE.amplitude > 1e-3, numpy.nan, 0.0)
    return np.sin(x) / r(np.cos(x))


for name, f in KINKED.items():
    add_unary(name, f, kinks=True, exact=name in ("abs", "absolute"), often=6.0 if name == "relu" else 1.0)
for name, f in SMOOTH.items():
    add_unary(name, f, exact=name in ("negative", "square"))
for name, f in POSITIVE.items():
    add_unary(name, f, "positive")
add_unary("tan", _tan, "unit")


def _step(f):
    def reference(x):
        y = f(_plain(lift(x)))
        return numpy.asarray(y)

    return reference


for name, f in STEPS.items():
    if name != "sign":
        row(f"ops.{name}", lambda d: Call([d.number()]), _step(f), often=0.4)


def _signed(x):
    x = _plain(x)
    return numpy.sign(x) if x.dtype.kind == "f" else numpy.sign(x).astype(x.dtype)


row("ops.sign", lambda d: Call([d.number()]), _signed, often=0.4)


def _round(x, decimals=0):
    x = _plain(lift(x))
    if decimals == 0:
        return numpy.round(x)
    return r(numpy.round(r(x * 10.0**decimals)) / 10.0**decimals)


row("ops.round", lambda d: Call([d.number()], d.maybe(decimals=d.choose([0, 1, 2]))), _round, often=0.4)


def with_number(argument, choices):
    return lambda d: Call([d.number()], d.maybe(**{argument: d.choose(choices)}))


row(
    "ops.leaky_relu",
    with_number("negative_slope", [0.0, 0.01, 0.5, 1.0, -0.5]),
    lambda x, negative_slope=0.2: r(np.where(x > 0, x, negative_slope * x)),
    kinks=True,
    model=True,
)
row("ops.elu", with_number("alpha", [0.5, 1.0, 2.0]), lambda x, **k: r(elu(x, **k)), kinks=True, model=True)
row("ops.celu", with_number("alpha", [0.5, 1.0, 2.0]), lambda x, **k: r(celu(x, **k)), kinks=True)
row("ops.gelu|erf", lambda d: Call([d.number()], {"approximate": False}), lambda x, **k: r(gelu(x, **k)))
row(
    "ops.hard_shrink",
    with_number("threshold", [0.0, 0.5, 1.0]),
    lambda x, threshold=0.5: np.where(np.abs(x) <= threshold, 0.0, x),  # NaN stays
    kinks=True,
)
row(
    "ops.soft_shrink",
    with_number("threshold", [0.0, 0.5, 1.0]),
    lambda x, threshold=0.5: r(x - clip(x, -threshold, threshold)),
    kinks=True,
)
row(
    "ops.threshold",
    lambda d: Call([d.number()], {"threshold": d.choose([0.0, 0.5]), "default_value": d.choose([0.0, -1.0])}),
    lambda x, threshold, default_value: np.where(x <= threshold, default_value, x),  # NaN stays
    kinks=True,
)
row(
    "ops.squareplus",
    with_number("b", [0.5, 4.0]),
    lambda x, b=4: r((x + r(np.sqrt(r(x * x + b)))) / 2),
)


def _glu(x, axis=-1):
    half, odd = divmod(_plain(x).shape[axis], 2)
    if odd:
        raise ValueError(f"an odd extent: {_plain(x).shape} along axis {axis}")
    x = np.moveaxis(x, axis, -1)
    return np.moveaxis(r(x[..., :half] * r(sigmoid(x[..., half:]))), -1, axis)


def _draw_glu(d):
    x = d.pick(where=lambda v: v.ndim and any(n % 2 == 0 and n for n in v.shape))
    if x is None:
        return None
    axes = [a for a, n in enumerate(d.shape(x)) if n % 2 == 0]
    return Call([x], {"axis": d.choose(axes)})


row("ops.glu", _draw_glu, _glu)
row(
    "ops.clip",
    lambda d: Call([d.number(), d.choose([-1.0, 0.0, -0.5]), d.choose([0.25, 1.0, 6.0])]),
    clip,
    kinks=True,
    model=True,
)
row(
    "ops.nan_to_num",
    lambda d: Call([d.number()]),
    lambda x: np.where(
        numpy.isnan(_plain(x)),
        0.0,
        np.where(
            _plain(x) == math.inf,
            3.4028234663852886e38,
            np.where(_plain(x) == -math.inf, -3.4028234663852886e38, x),
        ),
    ),
)


# Two arguments that broadcast.


def _pair(second=None):
    def draw(d):
        x = d.number()
        y = d.beside(x, second)
        return Call([y, x] if second is None and d.flip(0.2) else [x, y])

    return draw


def _maximum(x, y):
    a, b = _plain(x), _plain(y)
    return _chosen((a >= b) | numpy.isnan(a), x, y)


def _minimum(x, y):
    a, b = _plain(x), _plain(y)
    return _chosen((a <= b) | numpy.isnan(a), x, y)


def _chosen(first, x, y):
    """Where one is NaN, either may have the gradient."""
    chosen = _where(first, x, y)
    return np.where(numpy.isnan(_plain(chosen)), x + y, chosen) if STATE.marking else chosen


def _hypot(x, y):
    """As `math.hypot`, infinite where either is, and differentiable where it is finite."""
    top = numpy.maximum(numpy.abs(_plain(x)), numpy.abs(_plain(y)))
    infinite = numpy.isinf(_plain(x)) | numpy.isinf(_plain(y))
    if infinite.any():
        result = _where(infinite, numpy.full(numpy.shape(top), numpy.inf), np.sqrt(x * x + y * y))
        return np.where(infinite, x + y, result) if STATE.marking else result
    if not (numpy.isfinite(top).all() and (top > 0).all()):
        return np.sqrt(x * x + y * y)
    return top * np.sqrt((x / top) ** 2 + (y / top) ** 2)


def _logaddexp(x, y):
    return np.logaddexp(r(x), r(y))


def _float_pair(f):
    return lambda x, y: r(f(lift(x), lift(y)))


TWO = {
    "add": (np.add, None, True),
    "subtract": (np.subtract, None, True),
    "multiply": (np.multiply, None, True),
    "divide": (np.divide, "positive", True),
    "true_divide": (np.divide, "positive", True),
    "maximum": (_maximum, None, False),
    "minimum": (_minimum, None, False),
    "logaddexp": (_logaddexp, None, False),
    "hypot": (_hypot, "positive", False),
}
for name, (f, kind, exact) in TWO.items():
    row(
        f"ops.{name}",
        _pair(kind),
        _float_pair(f),
        model=True,
        exact=exact,
        kinks=name in ("maximum", "minimum"),
        often=3.0 if name in ("add", "multiply", "subtract") else 1.0,
    )


def _divide_no_nan(x, y):
    zero = _plain(y) == 0
    return r(np.where(zero, 0.0, x / np.where(zero, 1.0, y)))


row("ops.divide_no_nan", _pair("counts"), _divide_no_nan)
row(
    "ops.power",
    lambda d: Call([x := d.number("positive"), d.choose([2.0, 3.0, 0.5, -1.0, d.beside(x, "unit")])]),
    lambda x, y: r(power(x, y)),
)


def power(x, y):
    """By way of `y * log(x)`, whose rounding the exponential amplifies."""
    if (_plain(x) > 0).all():
        return np.exp(r(y * r(np.log(x))))
    # A number as exponent would be numpy's square root, which differs at -0 and -infinity.
    return np.power(x, wide(lift(y), numpy.broadcast_shapes(numpy.shape(_plain(x)), numpy.shape(_plain(y)))))


def _mod(x, y):
    x, y = _plain(lift(x)), _plain(lift(y))
    with numpy.errstate(all="ignore"):
        return r(numpy.mod(x, y))


def _floor_divide(x, y):
    """Of the exact quotient, as numpy's."""
    x, y = (numpy.asarray(_plain(lift(v)), numpy.float32) for v in (x, y))
    with numpy.errstate(all="ignore"):
        return numpy.floor_divide(x, y).astype(numpy.float64)


row("ops.mod", _pair("positive"), _mod, grad=False, often=0.5)
row(
    "ops.floor_divide",
    _pair("positive"),
    _floor_divide,
    often=0.5,
)


def compare(f):
    """Numbers that rounding may make equal are equal in every other noisy evaluation."""

    def reference(x, y):
        x, y = _plain(lift(x)), _plain(lift(y))
        if STATE.rng is not None and STATE.rng.random() < 0.5:
            with numpy.errstate(all="ignore"):
                near = numpy.abs(x - y) <= STATE.amplitude * numpy.maximum(
                    1.0, numpy.maximum(numpy.abs(x), numpy.abs(y))
                )
            return f(numpy.where(near, y, x), y)
        return f(x, y)

    return reference


for name, f in {
    "equal": numpy.equal,
    "not_equal": numpy.not_equal,
    "less": numpy.less,
    "less_equal": numpy.less_equal,
    "greater": numpy.greater,
    "greater_equal": numpy.greater_equal,
}.items():
    row(f"ops.{name}", lambda d: Call([x := d.number(), d.beside(x, None)]), compare(f), often=0.5)


def truth(x):
    """Which numbers are not 0; with noise, those that rounding may make 0 or not are either."""
    x = _plain(x)
    if STATE.rng is not None and x.dtype.kind == "f":
        with numpy.errstate(all="ignore"):
            largest = numpy.max(numpy.abs(x), where=numpy.isfinite(x), initial=1.0)
            near = numpy.abs(x) <= 64 * STATE.amplitude * largest
            return numpy.asarray(~near | (STATE.rng.random(x.shape) < 0.5))
    return numpy.asarray(x != 0)


def _logic(d):
    x = d.pick(dtype="bool") if d.flip(0.7) else d.number()
    x = x or d.number()
    return Call([x, d.beside(x, None)])


for name, f in {
    "logical_and": numpy.logical_and,
    "logical_or": numpy.logical_or,
    "logical_xor": numpy.logical_xor,
}.items():
    row(f"ops.{name}", _logic, lambda x, y, f=f: f(truth(x), truth(y)), often=0.3)
row("ops.logical_not", lambda d: Call([d.pick(dtype="bool") or d.number()]), lambda x: ~truth(x), often=0.3)


def wide(x, shape):
    """`x` broadcast, with signs of zeros kept and a gradient."""
    return x * numpy.ones(shape) if _plain(x).dtype.kind == "f" else numpy.broadcast_to(x, shape)


def _where(condition, x, y):
    condition, y = truth(condition), lift(y) if isinstance(y, float) else y
    shape = numpy.broadcast_shapes(condition.shape, _plain(x).shape, _plain(y).shape)
    return np.where(condition, wide(x, shape), wide(y, shape))


row(
    "ops.where",
    lambda d: Call([d.mask(x := d.number()), x, d.beside(x, None) if d.flip() else 0.0]),
    _where,
    often=1.5,
)


def _close(x, y, rtol=1e-5, atol=1e-8, equal_nan=False):
    x, y = _plain(x), _plain(y)
    with numpy.errstate(all="ignore"):
        bound = atol + rtol * numpy.abs(y)
        if STATE.rng is not None:  # what rounding moves across the bound
            bound = bound + (STATE.rng.integers(0, 2) * 2 - 1) * (0.1 * bound + STATE.amplitude)
        near = numpy.abs(_plain(r(x - y))) <= bound
    near |= x == y
    return near | (numpy.isnan(x) & numpy.isnan(y)) if equal_nan else near


row(
    "ops.isclose",
    lambda d: Call([x := d.number(), d.beside(x, None)], d.maybe(equal_nan=True)),
    _close,
    often=0.3,
)
row(
    "ops.allclose",
    lambda d: Call([x := d.number(), d.beside(x, None)]),
    lambda x, y: numpy.asarray(_close(x, y).all()),
    often=0.2,
)

# Operators and methods of tensors.


def _operator(name, f, kind=None, **flags):
    row(name, lambda d: Call([x := d.tensor(), d.beside(x, kind)]), lambda x, y: r(f(x, y)), **flags)


_operator("{0} + {1}", np.add, exact=True, model=True)
_operator("{0} - {1}", np.subtract, exact=True, model=True)
_operator("{0} * {1}", np.multiply, exact=True, model=True)
_operator("{0} / {1}", np.divide, "positive", exact=True, model=True)
row("-{0}", lambda d: Call([d.tensor()]), lambda x: -x, exact=True)
row(
    "{0} * {1}|number",
    lambda d: Call([d.tensor(), d.choose([0.5, -1.0, 3.0, 0.1])]),
    lambda x, y: r(x * numpy.float32(y)),
    exact=True,
    model=True,
)
row(
    "{0} + {1}|number",
    lambda d: Call([d.tensor(), d.choose([0.5, -1.0, 0.0])]),
    lambda x, y: r(x + y),
    exact=True,
    model=True,
)
row(
    "{1} - {0}|number",
    lambda d: Call([d.tensor(), d.choose([0.5, 1.0, 0.0])]),
    lambda x, y: r(y - x),
    exact=True,
)
row("{1} / {0}|number", lambda d: Call([d.tensor("positive"), d.choose([0.5, 1.0])]), lambda x, y: r(y / x))
row(
    "{0} ** {1}|number",
    lambda d: Call([d.tensor("positive"), d.choose([2, 3.0, 0.5, -1.0])]),
    lambda x, y: r(power(x, y)),
)
row(
    "{0} > {1}|number",
    lambda d: Call([d.tensor(), d.choose([0.0, 0.5])]),
    lambda x, y: _plain(x) > y,
    often=0.5,
)
