"""`ComplexTensor`: a real and an imaginary part, for what transforms give. No tensor of cnnrs is complex.

>>> import cnnrs.compat.tf as tf
>>> z = tf.cast(tf.constant([1.0, 0.0]), tf.complex64) * tf.complex(0.0, 1.0)
>>> tf.math.imag(z).numpy().tolist(), tf.abs(z).numpy().tolist(), z.dtype.name
([1.0, 0.0], [1.0, 0.0], 'complex64')
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops

__all__ = ["ComplexTensor", "parts"]


class ComplexTensor:
    """A tensor of complex numbers as two tensors of real ones.

    Args:
        real: The real part.
        imag: The imaginary part, of the same shape and dtype.
    """

    __array_priority__ = 1000.0

    def __init__(self, real: Any, imag: Any):
        self.real = real
        self.imag = imag

    @property
    def dtype(self) -> Any:
        """complex64, or complex128 of float64."""
        of_parts = self.real.dtype
        return type(of_parts)("complex128" if of_parts == "float64" else "complex64")

    @property
    def shape(self) -> Any:
        """The shape."""
        return self.real.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def get_shape(self) -> Any:
        """The shape."""
        return self.shape

    def numpy(self) -> Any:
        """The values as an array of complex numbers."""
        return (np.asarray(self.real) + 1j * np.asarray(self.imag)).astype(self.dtype.name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a complex tensor makes an array of its two parts, which is a copy")
        return np.asarray(self.numpy(), dtype)

    def __getitem__(self, key: Any) -> ComplexTensor:
        return ComplexTensor(self.real[key], self.imag[key])

    def __neg__(self) -> ComplexTensor:
        return ComplexTensor(-self.real, -self.imag)

    def __add__(self, other: Any) -> ComplexTensor:
        a, b = parts(other)
        return ComplexTensor(self.real + a, self.imag + b)

    __radd__ = __add__

    def __sub__(self, other: Any) -> ComplexTensor:
        return self + -_complex(other)

    def __rsub__(self, other: Any) -> ComplexTensor:
        return -self + other

    def __mul__(self, other: Any) -> ComplexTensor:
        a, b = parts(other)
        return ComplexTensor(self.real * a - self.imag * b, self.real * b + self.imag * a)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> ComplexTensor:
        a, b = parts(other)
        square = a * a + b * b
        return self * ComplexTensor(a / square, -b / square)

    def __rtruediv__(self, other: Any) -> ComplexTensor:
        return _complex(other) / self

    def __abs__(self) -> Any:
        return ops.hypot(self.real, self.imag)

    def __repr__(self) -> str:
        return f"<ComplexTensor shape={tuple(self.shape)}, dtype={self.dtype.name}>"


def _complex(x: Any) -> ComplexTensor:
    return x if isinstance(x, ComplexTensor) else ComplexTensor(*parts(x))


def parts(x: Any) -> tuple[Any, Any]:
    """The real and the imaginary part of a complex tensor, an array of complex numbers, or real numbers."""
    if isinstance(x, ComplexTensor):
        return x.real, x.imag
    if isinstance(x, complex) or (isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "c"):
        array = np.asarray(x)
        wide = "float64" if array.dtype == "complex128" and array.ndim else "float32"
        return ops.array(array.real.astype(wide)), ops.array(array.imag.astype(wide))
    made = ops.convert_to_tensor(x)
    return made, ops.zeros_like(made)
