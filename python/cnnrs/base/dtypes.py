"""Element types: the names that users may give, and the one that cnnrs computes with for each."""

from __future__ import annotations

from typing import Any

__all__ = ["FLOAT", "standardize_dtype"]

FLOAT = "float32"

_DTYPES = {
    "float": "float32",
    "float16": "float32",
    "float32": "float32",
    "float64": "float32",
    "int": "int32",
    "int8": "int32",
    "int16": "int32",
    "int32": "int32",
    "int64": "int32",
    "uint8": "uint8",
    "uint16": "int32",
    "bool": "bool",
}


def standardize_dtype(dtype: Any, default: str = FLOAT) -> str:
    """The element type that cnnrs computes with: float32, int32, uint8 or bool.

    Args:
        dtype: A name, a numpy or Python type, or None for `default`. float16 and float64 give float32, other
            integers int32.

    Raises:
        TypeError: It is none of these.
    """
    if dtype is None:
        return default
    if isinstance(dtype, type) and dtype in (bool, int, float):
        dtype = dtype.__name__
    name = (
        dtype
        if isinstance(dtype, str)
        else getattr(dtype, "name", None) or getattr(dtype, "__name__", str(dtype))
    )
    if name not in _DTYPES:
        raise TypeError(f"dtype: expected one of {', '.join(sorted(_DTYPES))}, received {dtype!r}")
    return _DTYPES[name]
