"""What is compared: calls of functions, as data. Both libraries get the same.

Functions are found in the table of Keras's signatures. Those of one array, or of two, need no row of their
own: they are called on every dtype and on several shapes. The others have rows.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Array", "Case", "array", "op_cases", "signatures"]

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"

FLOATS = ["float32", "float16", "bfloat16"]
DTYPES = [*FLOATS, "float64", "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"]
SHAPES: list[tuple[int, ...]] = [(3, 4), (), (5,), (2, 1, 3), (0, 3)]


class Case(NamedTuple):
    """One call.

    Attributes:
        name: The function below the library's module, as "ops.relu".
        args: Positional arguments: arrays with the dtype that they are to be given.
        kwargs: Keyword arguments.
        gradient: Whether derivatives with respect to float arrays are compared.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    gradient: bool = True


@dataclasses.dataclass
class Array:
    """An array and the name of its dtype, which numpy may lack."""

    values: np.ndarray
    dtype: str


def signatures() -> dict[str, str]:
    """Keras's signatures by name."""
    table: dict[str, str] = json.loads((FIXTURES / "keras_signatures.json").read_text())
    return table


# What the arguments of a function must be.
_RANGES = {
    **dict.fromkeys("log log2 log10 sqrt rsqrt logdet".split(), (0.25, 4.0)),
    **dict.fromkeys("arccos arcsin arctanh erfinv".split(), (-0.9, 0.9)),
    "log1p": (-0.5, 3.0),
    "arccosh": (1.25, 4.0),
    "reciprocal": (0.5, 2.0),
    "divide": (0.5, 3.0),
    "true_divide": (0.5, 3.0),
    "divide_no_nan": (0.5, 3.0),
    "floor_divide": (0.5, 3.0),
    "mod": (0.5, 3.0),
    "fmod": (0.5, 3.0),
    "power": (0.5, 2.0),
    "lcm": (1, 9),
    "gcd": (1, 9),
    "left_shift": (0, 4),
    "right_shift": (0, 4),
    "bitwise_left_shift": (0, 4),
    "bitwise_right_shift": (0, 4),
}
# Of one or two arrays by their signature, but of certain shapes, or without numbers that say something.
_OWN_ROWS = set(
    "convert_to_numpy is_tensor shape ndim size dtype cholesky cholesky_inverse det eig eigh inv lu_factor "
    "slogdet svd logdet qr outer kron dot inner vdot matmul einsum segment_sum nonzero fft fft2 ifft2 real "
    "imag conj conjugate angle polar erfinv view_as_complex view_as_real unique cross custom_gradient solve "
    "lstsq empty_like exp2".split()
)


def array(rng: np.random.Generator, shape: Any, dtype: str, low: float = -3.0, high: float = 3.0) -> Array:
    """Numbers that the dtype has."""
    if dtype == "bool":
        return Array(rng.random(shape) < 0.5, dtype)
    if dtype.startswith(("int", "uint")):
        least = 0 if dtype[0] == "u" else int(np.ceil(low))
        return Array(rng.integers(max(least, int(np.ceil(low))), int(high) + 1, shape).astype(dtype), dtype)
    values = rng.uniform(low, high, shape)
    if dtype == "float64":
        return Array(values, dtype)
    # Few bits, so that 16 bits nearly hold the number; and none at which many functions have a kink.
    return Array(((np.round(values * 64) + 0.5) / 64).astype("float32"), dtype)


def _of_arrays(rng: np.random.Generator, name: str, count: int) -> list[Case]:
    short = name.rpartition(".")[2]
    low, high = _RANGES.get(short, (-3.0, 3.0))
    cases = []
    for dtype in DTYPES:
        cases.append(Case(name, tuple(array(rng, (3, 4), dtype, low, high) for _ in range(count)), {}))
    for shape in SHAPES[1:]:
        cases.append(Case(name, tuple(array(rng, shape, "float32", low, high) for _ in range(count)), {}))
    if count == 2:
        wide = ((3, 4), (4,)), ((2, 1, 3), (4, 1)), ((), (3,))
        cases += [
            Case(name, (array(rng, a, "float32", low, high), array(rng, b, "float32", low, high)), {})
            for a, b in wide
        ]
        for left, right in (
            ("float32", "int32"),
            ("bfloat16", "float16"),
            ("uint8", "int32"),
            ("bool", "float32"),
        ):
            cases.append(
                Case(name, (array(rng, (3,), left, low, high), array(rng, (3,), right, low, high)), {})
            )
    return cases


def _reductions(rng: np.random.Generator, name: str, arguments: str) -> list[Case]:
    cases = []
    dtypes = FLOATS if name.rpartition(".")[2] in ("logsumexp", "std", "var") else DTYPES
    cases += [Case(name, (array(rng, (3, 4), dtype),), {}) for dtype in dtypes]
    for axis in (0, -1, 1, (0, 2), (1, -1)):
        if isinstance(axis, tuple) and name.rpartition(".")[2] in ("argmax", "argmin", "cumsum", "cumprod"):
            continue
        for keepdims in (False, True) if "keepdims" in arguments else (None,):
            extra = {} if keepdims is None else {"keepdims": keepdims}
            cases.append(Case(name, (array(rng, (2, 3, 4), "float32"),), {"axis": axis, **extra}))
    return cases


def op_cases() -> list[Case]:
    """The cases of `ops`."""
    from keras_compare.rows import ROWS

    cases: list[Case] = []
    for name, signature in sorted(signatures().items()):
        if not name.startswith("ops.") or name.count(".") > 2:
            continue
        rng = np.random.default_rng(sum(map(ord, name)))
        short = name.rpartition(".")[2]
        # "ops.nn.relu" is "ops.relu".
        if name.count(".") == 2 and f"ops.{short}" in signatures():
            continue
        if short in ROWS:
            cases += [Case(name, args, kwargs) for args, kwargs in ROWS[short](rng)]
        elif short in _OWN_ROWS:
            continue
        elif signature in ("(x)", "(x, name=None)"):
            cases += _of_arrays(rng, name, 1)
        elif signature in ("(x1, x2)", "(x, y)"):
            cases += _of_arrays(rng, name, 2)
        elif signature.startswith(("(x, axis=None, keepdims=False", "(x, axis=-1)", "(x, axis=None)")) or (
            signature.startswith("(x, axis=None, dtype=None")
        ):
            cases += _reductions(rng, name, signature)
    return cases
