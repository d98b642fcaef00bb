"""`tf.dtypes`: element types as objects that are also their names.

>>> import cnnrs.compat.tf as tf
>>> tf.float32 == "float32", tf.float32.name, tf.uint8.max, tf.as_dtype(int).name
(True, 'float32', 255, 'int32')
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base.dtypes import FLOATS, INTEGERS, dtype_name, largest, limits
from cnnrs.compat.tf.complex_tensors import ComplexTensor, parts
from cnnrs.compat.tf.namespaces import operation, unknown

__all__ = [
    "DType",
    "as_dtype",
    "bfloat16",
    "bool",
    "cast",
    "complex",
    "complex64",
    "complex128",
    "double",
    "float16",
    "float32",
    "float64",
    "half",
    "int8",
    "int16",
    "int32",
    "int64",
    "saturate_cast",
    "string",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]

# The module's names shadow Python's `bool` and `complex`.
_NUMBERS: dict[Any, str] = {float: "float32", int: "int32", bool: "bool", str: "string", bytes: "string"}


class DType(str):
    """An element type. It is its name as well, so that all of cnnrs takes it.

    Args:
        name: "float32" and the like.
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name, such as "float32"."""
        return str.__str__(self)

    @property
    def as_numpy_dtype(self) -> Any:
        """The type of numpy; that of ml_dtypes for bfloat16, object for strings."""
        if self == "string":
            return np.object_
        if self == "bfloat16":
            import ml_dtypes

            return ml_dtypes.bfloat16
        return np.dtype(self.name).type

    @property
    def is_floating(self) -> Any:
        """Whether it is a float type."""
        return self.name in FLOATS

    @property
    def is_integer(self) -> Any:
        """Whether it is an integer type; bool is none."""
        return self.name in INTEGERS

    @property
    def is_unsigned(self) -> Any:
        """Whether it is an integer type without a sign."""
        return self.name in INTEGERS and self.name[0] == "u"

    @property
    def is_bool(self) -> Any:
        """Whether it is bool."""
        return self.name == "bool"

    @property
    def is_complex(self) -> Any:
        """Whether it is complex, which no tensor is."""
        return self.name.startswith("complex")

    @property
    def is_numpy_compatible(self) -> Any:
        """Whether numpy has it."""
        return self.name != "bfloat16"

    @property
    def base_dtype(self) -> DType:
        """The type itself: there are no references."""
        return self

    @property
    def real_dtype(self) -> DType:
        """The type of the real part."""
        return {"complex64": float32, "complex128": float64}.get(self.name, self)

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return 2 if self == "bfloat16" else 1 if self == "string" else np.dtype(self.name).itemsize

    @property
    def limits(self) -> tuple[Any, Any]:
        """The least and the greatest number."""
        return self.min, self.max

    @property
    def min(self) -> Any:
        """The least number."""
        return self._bounds()[0]

    @property
    def max(self) -> Any:
        """The greatest number."""
        return self._bounds()[1]

    def _bounds(self) -> tuple[Any, Any]:
        if self.name in FLOATS:
            greatest = largest(self.name)
            return -greatest, greatest
        if self.name in INTEGERS:
            return limits(self.name)
        if self == "bool":
            return False, True
        raise TypeError(f"{self.name}: expected a type of numbers to ask for bounds")

    def is_compatible_with(self, other: Any) -> Any:
        """Whether it is the same type."""
        return self == other

    def __eq__(self, other: object) -> Any:
        if isinstance(other, str) or other is None:
            return str.__eq__(self, other) if isinstance(other, str) else False
        try:
            return str.__eq__(self, as_dtype(other))
        except TypeError:
            return False

    def __ne__(self, other: object) -> Any:
        return not self == other

    __hash__ = str.__hash__

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __reduce__(self) -> Any:
        return as_dtype, (self.name,)


_ALL = {
    name: DType(name)
    for name in (*FLOATS, *INTEGERS, "bool", "string", "complex64", "complex128", "resource", "variant")
}
bfloat16, float16, float32, float64 = (_ALL[n] for n in ("bfloat16", "float16", "float32", "float64"))
half, double = float16, float64
int8, int16, int32, int64 = (_ALL[n] for n in ("int8", "int16", "int32", "int64"))
uint8, uint16, uint32, uint64 = (_ALL[n] for n in ("uint8", "uint16", "uint32", "uint64"))
bool, string, complex64, complex128 = (_ALL[n] for n in ("bool", "string", "complex64", "complex128"))


# TensorFlow numbers its types (tensorflow/core/framework/types.proto), and takes the numbers.
_NUMBERED = {
    **dict(enumerate("float32 float64 int32 uint8 int16 int8 string complex64 int64 bool".split(), start=1)),
    **{14: "bfloat16", 17: "uint16", 18: "complex128", 19: "float16", 22: "uint32", 23: "uint64"},
}


def as_dtype(type_value: Any) -> DType:
    """The element type of a name, a number, a type of numpy or Python, or an object with a dtype.

    Raises:
        TypeError: It is none.
    """
    if isinstance(type_value, DType):
        return type_value
    if type(type_value) is int and type_value in _NUMBERED:
        return _ALL[_NUMBERED[type_value]]
    name = _NUMBERS.get(type_value) if isinstance(type_value, type) else None
    if name is None:
        given = (
            type_value
            if isinstance(type_value, (str, type, np.dtype))
            else getattr(type_value, "dtype", type_value)
        )
        name = dtype_name(given)
    found = _ALL.get(
        {"half": "float16", "double": "float64", "float": "float32", "int": "int32"}.get(name, name)
    )
    if found is None:
        raise TypeError(f"as_dtype: expected an element type such as tf.float32, received {type_value!r}")
    return found


@operation
def cast(x: Any, dtype: Any) -> Any:
    """`x` with elements of another type; floats lose their fraction when they become integers.

    Of a sparse tensor it is the values that are of another type.
    """
    dtype = as_dtype(dtype)
    if hasattr(x, "with_values"):
        return x.with_values(cast(x.values, dtype))
    if dtype == "string":
        raise TypeError("tf.cast: tensors hold no texts; tf.strings.as_string makes them")
    if dtype.is_complex:
        return ComplexTensor(*(ops.cast(part, dtype.real_dtype.name) for part in parts(x)))
    return ops.cast(x.real if isinstance(x, ComplexTensor) else x, dtype.name)


@operation
def saturate_cast(value: Any, dtype: Any) -> Any:
    """`value` with elements of another type; what exceeds it becomes its least or greatest number."""
    return ops.saturate_cast(value, as_dtype(dtype).name)


@operation
def complex(real: Any, imag: Any) -> Any:
    """A `ComplexTensor` of a real and an imaginary part of one float type."""
    return ComplexTensor(ops.convert_to_tensor(real), ops.convert_to_tensor(imag))


__getattr__ = unknown(
    "tf.dtypes",
    {
        "qint8 qint16 qint32 quint8 quint16 QUANTIZED_DTYPES": "models are not quantized",
        "float8_e4m3fn float8_e5m2 int4 uint4": "no tensor holds such elements",
        "resource variant": "tensors hold numbers",
    },
    __all__,
)
