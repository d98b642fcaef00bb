"""Element types: the table of the names that Keras knows, what cnnrs makes of each, and how types combine.

| names | status |
|---|---|
| float32, int32, uint8, bool | computed: ops compute in them, many elements at once |
| float64, int8, int16, int64, uint16, uint32, uint64 | plain: computed element by element, on the CPU |
| float16, bfloat16 | stored: tensors hold them; ops compute in float32 and round their result once |
| complex64, complex128, string, float8_e4m3fn, float8_e5m2 | no tensor holds them; nothing does instead |

Who asks for a type by name, as in `ops.cast(x, "float64")` or `Variable(0.0, dtype="int64")`, gets it, and
ops on arrays compute in the type that the array has. Python's numbers are float32 and int32, and take the
type of what they meet.

Data is another matter. numpy's arrays have 64 bits unless somebody said otherwise, so arrays that go into
layers, losses, metrics and `fit` are converted there: float64 to float32, and integers but uint8 to int32,
with an OverflowError for those beyond its range.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = [
    "FLOAT",
    "FLOATS",
    "INTEGERS",
    "STORED",
    "accumulated",
    "data_dtype",
    "dtype_name",
    "fits",
    "host_dtype",
    "is_number",
    "largest",
    "limits",
    "result_type",
    "standardize_dtype",
    "widened",
]

FLOAT = "float32"


class _Row(NamedTuple):
    """What is known of a type.

    Attributes:
        status: "computed", "plain", "stored", "weak" or "absent".
        data: The type that data of it becomes in layers, losses, metrics and `fit`.
        above: The next types in the order of promotion: Keras's order, which is JAX's. "int" and "float" are
            Python's numbers, which take the type of what they meet.
        result: The type that promotion gives in its place.
    """

    status: str
    data: str | None
    above: tuple[str, ...]
    result: str | None = None


_TABLE = {
    "bool": _Row("computed", "bool", ("int",)),
    "int": _Row("weak", None, ("uint8", "int8", "complex64"), "int32"),
    "uint8": _Row("computed", "uint8", ("int16", "uint16")),
    "uint16": _Row("plain", "int32", ("int32", "uint32")),
    "uint32": _Row("plain", "int32", ("int64", "uint64")),
    "uint64": _Row("plain", "int32", ("float",)),
    "int8": _Row("plain", "int32", ("int16",)),
    "int16": _Row("plain", "int32", ("int32",)),
    "int32": _Row("computed", "int32", ("int64",)),
    "int64": _Row("plain", "int32", ("float",)),
    "float": _Row("weak", None, ("bfloat16", "float16"), "float32"),
    "bfloat16": _Row("stored", "bfloat16", ("float32",)),
    "float16": _Row("stored", "float16", ("float32",)),
    "float32": _Row("computed", "float32", ("float64", "complex64")),
    "float64": _Row("plain", "float32", ("complex128",)),
    "complex64": _Row("absent", None, ("complex128",)),
    "complex128": _Row("absent", None, (), "complex64"),
}
# Names that Keras knows and never promotes.
_ALONE = ("string", "float8_e4m3fn", "float8_e5m2")

# What to do instead of making a tensor of such elements.
_INSTEAD = {
    "string": "turn texts into numbers first, as with layers.StringLookup or layers.TextVectorization, which "
    "are called on the data: dataset.map(lookup)",
}

_HELD = [name for name, row in _TABLE.items() if row.status in ("computed", "plain", "stored")]
# The floats and the integers that tensors hold, and the types that are held and not computed in.
FLOATS = ("float32", "float16", "bfloat16", "float64")
INTEGERS = ("int32", "uint8", "int64", "int8", "int16", "uint16", "uint32", "uint64")
STORED = ("float16", "bfloat16")


def dtype_name(dtype: Any) -> str:
    """The name of a type that is given as a name, a numpy type or one of Python's."""
    if isinstance(dtype, str):
        return dtype
    return getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)


def standardize_dtype(dtype: Any, default: str = FLOAT) -> str:
    """The name of an element type that tensors hold.

    Args:
        dtype: A name, a numpy type, Python's `float`, `int` or `bool` (float32, int32 and bool), or None for
            `default`.
        default: What None means.

    Returns:
        The name of a float or integer type, or "bool".

    Raises:
        TypeError: No tensor holds such elements, or it is no type.
    """
    if dtype is None:
        return default
    name = dtype_name(dtype)
    row = _TABLE.get(name)
    if row is None and name not in _ALONE:
        raise TypeError(f"dtype: expected one of {', '.join(_HELD)}, received {dtype!r}")
    if row is None or row.status == "absent":
        instead = _INSTEAD.get(name, "nothing stands for it")
        raise TypeError(f"dtype: tensors hold no {name}; {instead}")
    return row.result if row.status == "weak" and row.result else name


def data_dtype(dtype: Any) -> str:
    """The type of the tensor that data of type `dtype` becomes in layers, losses, metrics and `fit`.

    Raises:
        TypeError: There is none.
    """
    name = dtype_name(dtype)
    row = _TABLE.get(name)
    return row.data if row and row.data else standardize_dtype(dtype)


def accumulated(dtype: str) -> str:
    """The type in which Keras adds up and multiplies elements: small integers do not wrap around."""
    small = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}
    return small.get(dtype, dtype)


def widened(dtype: str) -> str:
    """The type in which sums of floats of type `dtype` are kept: float32 for those of 16 bits."""
    return FLOAT if dtype in STORED else dtype


def largest(dtype: str) -> float:
    """The largest finite number of a float type."""
    exponent, bits = {"float16": (15, 10), "bfloat16": (127, 7), "float32": (127, 23), "float64": (1023, 52)}[
        dtype
    ]
    return float((2.0 - 2.0**-bits) * 2.0**exponent)


def limits(dtype: str) -> tuple[int, int]:
    """The least and the greatest number of an integer type."""
    bits = int(dtype.lstrip("uint"))
    return (0, 2**bits - 1) if dtype[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def host_dtype(dtype: str) -> str:
    """The type in which numpy makes values for a tensor of type `dtype`: numpy has no bfloat16."""
    return FLOAT if dtype == "bfloat16" else dtype


def is_number(array: Any) -> bool:
    """Whether a numpy array holds numbers or booleans that a tensor can be made of."""
    return array.dtype.kind in "fiub" or array.dtype.name == "bfloat16"


def fits(given: str, wanted: str) -> bool:
    """Whether values of type `given` may be assigned to a variable of type `wanted`: floats are rounded."""
    return given == wanted or (given in FLOATS and wanted in FLOATS)


def _upper_bounds() -> dict[str, frozenset[str]]:
    """For each type, itself and all types above it."""
    bounds: dict[str, frozenset[str]] = {}

    def of(name: str) -> frozenset[str]:
        if name not in bounds:
            bounds[name] = frozenset([name]).union(*(of(above) for above in _TABLE[name].above))
        return bounds[name]

    for name in _TABLE:
        of(name)
    return bounds


_UPPER = _upper_bounds()


def result_type(*dtypes: Any) -> str:
    """The type of what values of several types make together, by Keras's rules.

    The types need not be ones that tensors hold: this is a function of names.

    Args:
        *dtypes: Names, numpy types, or None for float32. Python's `int` and `float` stand for Python numbers,
            which take the type of what they meet.

    Returns:
        The name of the least type above all of them in the order of promotion; float32 without arguments.
        What has 32 bits at most makes nothing of 64, as in Keras on JAX: uint32 and int32 make int32.

    Raises:
        ValueError: One is no type, or one that nothing is promoted to or from: text, or 8 bits of float.

    Example:
        >>> from cnnrs.base.dtypes import result_type
        >>> result_type("float16", "bfloat16"), result_type("int32", "float16"), result_type("uint8", int)
        ('float32', 'float16', 'uint8')
        >>> result_type("float32", "float64"), result_type("int64", float), result_type("int8", "uint16")
        ('float64', 'float32', 'int32')
    """
    names = [FLOAT if dtype is None else dtype_name(dtype) for dtype in dtypes] or [FLOAT]
    for name, dtype in zip(names, dtypes, strict=False):
        if name not in _TABLE:
            raise ValueError(f"result_type: expected types that are promoted, received {dtype!r}")
    common = frozenset.intersection(*(_UPPER[name] for name in names))
    # The least of the common bounds is below all others: it has the most above it.
    least = max(common, key=lambda name: len(_UPPER[name]))
    if least == "int64" and "int64" not in names:
        return "int32"
    return _TABLE[least].result or least
