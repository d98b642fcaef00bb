"""Element types: the table of the names that Keras knows, what cnnrs makes of each, and how types combine.

| names | status |
|---|---|
| float32, int32, uint8, bool | computed: tensors hold them, and ops compute in them |
| float16, bfloat16 | stored: tensors hold them; ops compute in float32 and round their result once |
| float64, int8, int16, int64, uint16, uint32, uint64 | no tensor holds them |
| complex64, complex128, string, float8_e4m3fn, float8_e5m2 | no tensor holds them; nothing does instead |

Who asks for a type by name, as in `ops.cast(x, "float64")` or `Variable(0.0, dtype="int64")`, gets it or a
TypeError that says what to use instead: nothing becomes narrower than it was asked to be.

Data is another matter. numpy's arrays have 64 bits unless somebody said otherwise, so arrays and numbers that
become tensors are converted: float64 to float32, and integers that no tensor holds to int32, with an
OverflowError for those beyond its range. Arrays of float16 and bfloat16 stay what they are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = [
    "FLOAT",
    "FLOATS",
    "INTEGERS",
    "STORED",
    "array_dtype",
    "dtype_name",
    "fits",
    "host_dtype",
    "is_number",
    "largest",
    "require_float32",
    "result_type",
    "standardize_dtype",
]

FLOAT = "float32"


class _Row(NamedTuple):
    """What is known of a type.

    Attributes:
        status: "computed", "stored" or "absent".
        instead: For an absent type, the one that arrays of it become, if there is one.
        above: The next types in the order of promotion: Keras's order, which is JAX's. "int" and "float" are
            Python's numbers, which take the type of what they meet.
        result: The type that promotion gives in its place: nothing has more than 32 bits.
    """

    status: str
    instead: str | None
    above: tuple[str, ...]
    result: str | None = None


_TABLE = {
    "bool": _Row("computed", None, ("int",)),
    "int": _Row("weak", None, ("uint8", "int8", "complex64"), "int32"),
    "uint8": _Row("computed", None, ("int16", "uint16")),
    "uint16": _Row("absent", "int32", ("int32", "uint32")),
    "uint32": _Row("absent", "int32", ("int64", "uint64")),
    "uint64": _Row("absent", "int32", ("float",), "uint32"),
    "int8": _Row("absent", "int32", ("int16",)),
    "int16": _Row("absent", "int32", ("int32",)),
    "int32": _Row("computed", None, ("int64",)),
    "int64": _Row("absent", "int32", ("float",), "int32"),
    "float": _Row("weak", None, ("bfloat16", "float16"), "float32"),
    "bfloat16": _Row("stored", None, ("float32",)),
    "float16": _Row("stored", None, ("float32",)),
    "float32": _Row("computed", None, ("float64", "complex64")),
    "float64": _Row("absent", "float32", ("complex128",), "float32"),
    "complex64": _Row("absent", None, ("complex128",)),
    "complex128": _Row("absent", None, (), "complex64"),
}
# Names that Keras knows and never promotes.
_ALONE = ("string", "float8_e4m3fn", "float8_e5m2")

_HELD = [name for name, row in _TABLE.items() if row.status in ("computed", "stored")]
# The floats and the integers that tensors hold, and the types that are held and not computed in.
FLOATS = ("float32", "float16", "bfloat16")
INTEGERS = ("int32", "uint8")
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
        "float32", "int32", "uint8", "bool", "float16" or "bfloat16".

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
        advice = f"use {row.instead!r}" if row and row.instead else "nothing stands for it"
        raise TypeError(f"dtype: tensors hold no {name}; {advice}")
    return row.result if row.status == "weak" and row.result else name


def array_dtype(dtype: Any) -> str:
    """The type of the tensor that an array of type `dtype` becomes.

    Raises:
        TypeError: There is none.
    """
    name = dtype_name(dtype)
    row = _TABLE.get(name)
    return row.instead if row and row.instead else standardize_dtype(dtype)


def largest(dtype: str) -> float:
    """The largest finite number of a float type."""
    exponent, bits = {"float16": (15, 10), "bfloat16": (127, 7), "float32": (127, 23)}[dtype]
    return float((2.0 - 2.0**-bits) * 2.0**exponent)


def host_dtype(dtype: str) -> str:
    """The type in which numpy makes values for a tensor of type `dtype`: numpy has no bfloat16."""
    return FLOAT if dtype == "bfloat16" else dtype


def is_number(array: Any) -> bool:
    """Whether a numpy array holds numbers or booleans that a tensor can be made of."""
    return array.dtype.kind in "fiub" or array.dtype.name == "bfloat16"


def fits(given: str, wanted: str) -> bool:
    """Whether values of type `given` may be assigned to a variable of type `wanted`: floats are rounded."""
    return given == wanted or (given in FLOATS and wanted in FLOATS)


def require_float32(dtype: Any, owner: str) -> None:
    """Checks the type that a layer, a loss or a metric is told to compute in.

    Args:
        dtype: None, a type, or the config of a policy.
        owner: Who is told, for the message.

    Raises:
        ValueError: It is another than float32.
    """
    name = dtype.get("config", {}).get("name") if isinstance(dtype, dict) else dtype
    if name is None or dtype_name(name) in (FLOAT, "float"):
        return
    raise ValueError(
        f"{owner}: dtype: expected None or 'float32', in which all is computed, received {dtype!r}; "
        "cast what goes in and out for another type"
    )


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
        The name of the least type above all of them in the order of promotion, of at most 32 bits (complex64
        counts as such); float32 without arguments.

    Raises:
        ValueError: One is no type, or one that nothing is promoted to or from: text, or 8 bits of float.

    Example:
        >>> from cnnrs.base.dtypes import result_type
        >>> result_type("float16", "bfloat16"), result_type("int32", "float16"), result_type("uint8", int)
        ('float32', 'float16', 'uint8')
    """
    names = [FLOAT if dtype is None else dtype_name(dtype) for dtype in dtypes] or [FLOAT]
    for name, dtype in zip(names, dtypes, strict=False):
        if name not in _TABLE:
            raise ValueError(f"result_type: expected types that are promoted, received {dtype!r}")
    common = frozenset.intersection(*(_UPPER[name] for name in names))
    # The least of the common bounds is below all others: it has the most above it.
    least = max(common, key=lambda name: len(_UPPER[name]))
    return _TABLE[least].result or least
