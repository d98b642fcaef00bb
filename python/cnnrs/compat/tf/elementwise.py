"""Functions of single elements, as in `tf.math`.

Floats and integers do not meet here, and the quotient of integers is float64, as in TensorFlow.

>>> import cnnrs.compat.tf as tf
>>> tf.divide(tf.constant([3, 4]), 2).dtype.name, tf.clip_by_value([-1, 5], 0, 3).numpy().tolist()
('float64', [0, 3])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base.dtypes import FLOATS
from cnnrs.compat.tf.arguments import alike, as_float, tensor
from cnnrs.compat.tf.complex_tensors import ComplexTensor
from cnnrs.compat.tf.dtypes import bool as bool_
from cnnrs.compat.tf.namespaces import operation

__all__ = [
    "abs",
    "accumulate_n",
    "acos",
    "acosh",
    "add",
    "add_n",
    "angle",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bessel_i0",
    "ceil",
    "clip_by_value",
    "conj",
    "cos",
    "cosh",
    "divide",
    "divide_no_nan",
    "equal",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "expm1",
    "floor",
    "floordiv",
    "floormod",
    "greater",
    "greater_equal",
    "imag",
    "is_finite",
    "is_inf",
    "is_nan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log_sigmoid",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "multiply_no_nan",
    "ndtri",
    "negative",
    "nextafter",
    "not_equal",
    "pow",
    "real",
    "reciprocal",
    "reciprocal_no_nan",
    "rint",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "softplus",
    "softsign",
    "sqrt",
    "square",
    "squared_difference",
    "subtract",
    "tan",
    "tanh",
    "truediv",
    "truncatediv",
    "truncatemod",
    "xdivy",
    "xlog1py",
    "xlogy",
]


def _of_any(name: str, compute: Callable[[Any], Any], doc: str) -> Any:
    """A function of one tensor of any dtype."""

    def function(x: Any) -> Any:
        return compute(tensor(x))

    function.__name__, function.__doc__ = name, doc
    return operation(function)


def _of_float(name: str, compute: Callable[[Any], Any], doc: str, argument: str = "x") -> Any:
    """A function of one tensor of floats."""
    if argument == "x":

        def function(x: Any) -> Any:
            return compute(as_float(x, name))

    else:

        def function(features: Any) -> Any:  # type: ignore[misc]  # its argument has TensorFlow's name
            return compute(as_float(features, name))

    function.__name__, function.__doc__ = name, doc
    return operation(function)


def _of_two(name: str, compute: Callable[[Any, Any], Any], doc: str, floats: bool = False) -> Any:
    """A function of two tensors of one dtype."""

    def function(x: Any, y: Any) -> Any:
        return _combined(name, compute, x, y, floats)

    function.__name__, function.__doc__ = name, doc
    return operation(function)


def _combined(name: str, compute: Callable[[Any, Any], Any], x: Any, y: Any, floats: bool) -> Any:
    a, b = alike(name, x, y)
    if floats:
        a, b = as_float(a, name), as_float(b, name)
    return compute(a, b)


def _of_parts(
    name: str, compute: Callable[[Any, Any], Any], otherwise: Callable[[Any], Any], doc: str
) -> Any:
    """A function of one tensor, real or complex."""

    def function(input: Any) -> Any:
        return (
            compute(input.real, input.imag) if isinstance(input, ComplexTensor) else otherwise(tensor(input))
        )

    function.__name__, function.__doc__ = name, doc
    return operation(function)


@operation
def abs(x: Any) -> Any:
    """|x|, of complex numbers too."""
    return ops.hypot(x.real, x.imag) if isinstance(x, ComplexTensor) else ops.abs(tensor(x))


negative = _of_any("negative", ops.negative, "-x.")
sign = _of_any("sign", ops.sign, "-1, 0 or 1.")
square = _of_any("square", ops.square, "x².")
real = _of_parts("real", lambda a, b: a, ops.real, "The real part: of real numbers themselves.")
imag = _of_parts("imag", lambda a, b: b, ops.imag, "The imaginary part: of real numbers 0.")


@operation
def conj(x: Any) -> Any:
    """The conjugate: of real numbers themselves."""
    return ComplexTensor(x.real, -x.imag) if isinstance(x, ComplexTensor) else ops.conj(tensor(x))


angle = _of_parts("angle", lambda a, b: ops.arctan2(b, a), ops.angle, "The angle in the complex plane.")
is_nan = _of_float("is_nan", ops.isnan, "Whether x is NaN.")
is_inf = _of_float("is_inf", ops.isinf, "Whether x is infinite.")
is_finite = _of_float("is_finite", ops.isfinite, "Whether x is neither infinite nor NaN.")

acos = _of_float("acos", ops.arccos, "The angle whose cosine is x.")
acosh = _of_float("acosh", ops.arccosh, "The inverse of cosh.")
asin = _of_float("asin", ops.arcsin, "The angle whose sine is x.")
asinh = _of_float("asinh", ops.arcsinh, "The inverse of sinh.")
atan = _of_float("atan", ops.arctan, "The angle whose tangent is x.")
atanh = _of_float("atanh", ops.arctanh, "The inverse of tanh.")
bessel_i0 = _of_float("bessel_i0", ops.i0, "The modified Bessel function of order 0.")
ceil = _of_float("ceil", ops.ceil, "The least integer that is not less.")
cos = _of_float("cos", ops.cos, "Cosine.")
cosh = _of_float("cosh", ops.cosh, "Hyperbolic cosine.")
erf = _of_float("erf", ops.nn.erf, "The error function.")
erfc = _of_float("erfc", ops.erfc, "1 - erf(x).")
erfinv = _of_float("erfinv", ops.erfinv, "The inverse of the error function.")
exp = _of_float("exp", ops.exp, "e to the power of x.")
expm1 = _of_float("expm1", ops.expm1, "exp(x) - 1.")
floor = _of_float("floor", ops.floor, "The greatest integer that is not more.")
log = _of_float("log", ops.log, "Natural logarithm.")
log1p = _of_float("log1p", ops.log1p, "log(1 + x).")
log_sigmoid = _of_float("log_sigmoid", ops.nn.log_sigmoid, "log(sigmoid(x)).")
ndtri = _of_float(
    "ndtri", lambda x: ops.erfinv(2 * x - 1) * 2.0**0.5, "The quantile of the normal distribution."
)
reciprocal = _of_float("reciprocal", ops.reciprocal, "1 / x.")
reciprocal_no_nan = _of_float(
    "reciprocal_no_nan", lambda x: ops.divide_no_nan(ops.ones_like(x), x), "1 / x, and 0 for 0."
)
rint = _of_float("rint", ops.round, "The nearest integer, halves to the even one.")
rsqrt = _of_float("rsqrt", ops.nn.rsqrt, "1 / √x.")
sigmoid = _of_float("sigmoid", ops.nn.sigmoid, "1 / (1 + e^-x).")
sin = _of_float("sin", ops.sin, "Sine.")
sinh = _of_float("sinh", ops.sinh, "Hyperbolic sine.")
softplus = _of_float("softplus", ops.nn.softplus, "log(1 + e^x).", "features")
softsign = _of_float("softsign", ops.nn.softsign, "x / (1 + |x|).", "features")
sqrt = _of_float("sqrt", ops.sqrt, "√x.")
tan = _of_float("tan", ops.tan, "Tangent.")
tanh = _of_float("tanh", ops.tanh, "Hyperbolic tangent.")
round = _of_any(
    "round",
    lambda x: ops.round(x) if x.dtype in FLOATS else x,
    "The nearest integer, halves to the even one.",
)

add = _of_two("add", ops.add, "x + y.")
subtract = _of_two("subtract", ops.subtract, "x - y.")
multiply = _of_two("multiply", ops.multiply, "x · y.")
maximum = _of_two("maximum", ops.maximum, "The larger of both.")
minimum = _of_two("minimum", ops.minimum, "The smaller of both.")
pow = _of_two("pow", ops.power, "x to the power of y.")
squared_difference = _of_two("squared_difference", lambda a, b: ops.square(ops.subtract(a, b)), "(x - y)².")
greater = _of_two("greater", ops.greater, "x > y.")
greater_equal = _of_two("greater_equal", ops.greater_equal, "x ≥ y.")
less = _of_two("less", ops.less, "x < y.")
less_equal = _of_two("less_equal", ops.less_equal, "x ≤ y.")
floordiv = _of_two("floordiv", ops.floor_divide, "x / y, rounded down.")
floormod = _of_two("floormod", ops.mod, "The remainder of x / y, with the sign of y.")
mod = _of_two("mod", ops.mod, "The remainder of x / y, with the sign of y.")


@operation
def atan2(y: Any, x: Any) -> Any:
    """The angle of the point (x, y)."""
    return _combined("atan2", ops.arctan2, y, x, True)


@operation
def nextafter(x1: Any, x2: Any) -> Any:
    """The number next to x1 in the direction of x2."""
    return _combined("nextafter", ops.nextafter, x1, x2, True)


divide_no_nan = _of_two("divide_no_nan", ops.divide_no_nan, "x / y, and 0 where y is 0.", floats=True)
multiply_no_nan = _of_two(
    "multiply_no_nan",
    lambda a, b: ops.where(ops.equal(b, 0), ops.zeros_like(b), ops.multiply(a, b)),
    "x · y, and 0 where y is 0.",
    floats=True,
)
xlogy = _of_two(
    "xlogy",
    lambda a, b: ops.where(
        ops.equal(a, 0), ops.zeros_like(a), a * ops.log(ops.where(ops.equal(a, 0), 1.0, b))
    ),
    "x · log(y), and 0 where x is 0.",
    floats=True,
)
xlog1py = _of_two(
    "xlog1py",
    lambda a, b: ops.where(
        ops.equal(a, 0), ops.zeros_like(a), a * ops.log1p(ops.where(ops.equal(a, 0), 1.0, b))
    ),
    "x · log(1 + y), and 0 where x is 0.",
    floats=True,
)
xdivy = _of_two(
    "xdivy",
    lambda a, b: ops.where(ops.equal(a, 0), ops.zeros_like(a), a / ops.where(ops.equal(a, 0), 1.0, b)),
    "x / y, and 0 where x is 0.",
    floats=True,
)

# The type of quotients of integers.
_QUOTIENTS = {name: "float32" for name in ("int8", "uint8", "int16", "uint16")}


def _quotient(a: Any, b: Any) -> Any:
    if a.dtype.is_integer:
        wide = _QUOTIENTS.get(a.dtype.name, "float64")
        a, b = ops.cast(a, wide), ops.cast(b, wide)
    return ops.divide(a, b)


divide = _of_two("divide", _quotient, "x / y; the quotient of integers is float64.")
truediv = _of_two("truediv", _quotient, "x / y; the quotient of integers is float64.")


def _toward_zero(a: Any, b: Any) -> Any:
    if a.dtype.is_integer:
        down = ops.floor_divide(a, b)
        # Rounded down, a negative quotient with a rest is one too small.
        uneven = ops.logical_and(ops.not_equal(down * b, a), ops.less(down, 0))
        return down + ops.cast(uneven, a.dtype)
    return ops.trunc(ops.divide(a, b))


truncatediv = _of_two("truncatediv", _toward_zero, "x / y without its fraction.")
truncatemod = _of_two(
    "truncatemod", lambda a, b: a - _toward_zero(a, b) * b, "The remainder with the sign of x."
)


def _bools(name: str, *xs: Any) -> list[Any]:
    made = [tensor(x) for x in xs]
    for x in made:
        if x.dtype != bool_:
            raise TypeError(
                f"tf.{name}: expected tensors of bool, received one of {x.dtype.name}; tf.cast it"
            )
    return made


@operation
def logical_and(x: Any, y: Any) -> Any:
    """Whether both hold."""
    return ops.logical_and(*_bools("logical_and", x, y))


@operation
def logical_or(x: Any, y: Any) -> Any:
    """Whether one holds, or both."""
    return ops.logical_or(*_bools("logical_or", x, y))


@operation
def logical_xor(x: Any, y: Any) -> Any:
    """Whether just one holds."""
    return ops.logical_xor(*_bools("logical_xor", x, y))


@operation
def logical_not(x: Any) -> Any:
    """Whether it does not hold."""
    return ops.logical_not(*_bools("logical_not", x))


def _compared(name: str, x: Any, y: Any, compute: Callable[[Any, Any], Any]) -> Any:
    from cnnrs.compat.tf import strings

    if strings.is_text(x) or strings.is_text(y):
        same = np.asarray(strings.as_array(x) == strings.as_array(y), np.bool_)
        return tensor(same if name == "equal" else ~same)
    return compute(*alike(name, x, y))


@operation
def equal(x: Any, y: Any) -> Any:
    """Whether x = y, element by element; texts, too."""
    return _compared("equal", x, y, ops.equal)


@operation
def not_equal(x: Any, y: Any) -> Any:
    """Whether x ≠ y, element by element; texts, too."""
    return _compared("not_equal", x, y, ops.not_equal)


@operation
def add_n(inputs: Any) -> Any:
    """The sum of tensors of one shape.

    Raises:
        ValueError: There are none, or their shapes differ.
    """
    made = alike("add_n", *(inputs if isinstance(inputs, (list, tuple)) else [inputs]))
    if not made or len({tuple(x.shape) for x in made}) != 1:
        shapes = [tuple(x.shape) for x in made]
        raise ValueError(f"tf.add_n: inputs: expected tensors of one shape, received {shapes}")
    total = made[0]
    for x in made[1:]:
        total = ops.add(total, x)
    return total


accumulate_n = add_n


@operation
def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any) -> Any:
    """The elements within bounds, which are numbers or tensors that broadcast."""
    x, least, most = alike("clip_by_value", t, clip_value_min, clip_value_max)
    if isinstance(clip_value_min, (int, float)) and isinstance(clip_value_max, (int, float)):
        return ops.clip(x, clip_value_min, clip_value_max)
    return ops.minimum(ops.maximum(x, least), most)
