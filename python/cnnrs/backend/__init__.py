"""What `keras.backend` says of element types, and its names of settings that `config` and `utils` have.

The functions that it had in Keras 2 are those of `cnnrs.backend.functions`.

>>> from cnnrs import backend
>>> backend.result_type("int32", "float16"), backend.result_type("uint8", int)
('float16', 'uint8')
"""

from __future__ import annotations

from typing import Any

from cnnrs.base import dtypes, suggest
from cnnrs.base.dtypes import FLOATS, INTEGERS, result_type
from cnnrs.base.naming import get_uid
from cnnrs.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from cnnrs.utils.session import clear_session
from cnnrs.utils.tensors import is_keras_tensor

__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
]


def is_float_dtype(dtype: Any) -> bool:
    """Whether an element type that tensors hold is one of floats: of 16, 32 or 64 bits.

    Args:
        dtype: The type, as `ops.cast` takes it.

    Returns:
        True for floats.

    Raises:
        TypeError: No tensor holds such elements.

    Example:
        >>> from cnnrs import backend
        >>> backend.is_float_dtype("bfloat16"), backend.is_float_dtype("uint8")
        (True, False)
    """
    return standardize_dtype(dtype) in FLOATS


def is_int_dtype(dtype: Any) -> bool:
    """Whether an element type that tensors hold is one of integers, signed or not.

    Args:
        dtype: The type, as `ops.cast` takes it.

    Returns:
        True for integers.

    Raises:
        TypeError: No tensor holds such elements.

    Example:
        >>> from cnnrs import backend
        >>> backend.is_int_dtype("uint8"), backend.is_int_dtype("bool")
        (True, False)
    """
    return standardize_dtype(dtype) in INTEGERS


def standardize_dtype(dtype: Any) -> str:
    """The name of an element type that tensors hold.

    Args:
        dtype: The type, as `ops.cast` takes it; None means float32.

    Returns:
        The name.

    Raises:
        TypeError: No tensor holds such elements, or it is no type.

    Example:
        >>> from cnnrs import backend
        >>> backend.standardize_dtype(int), backend.standardize_dtype(None)
        ('int32', 'float32')
    """
    return dtypes.standardize_dtype(dtype)


def __getattr__(name: str) -> Any:
    if name == "functions":
        # Imports look for the module here before they look for its file.
        raise AttributeError(name)
    from cnnrs import ops
    from cnnrs.backend import functions

    if name in functions.SAME:
        return getattr(ops, name)
    if name in functions.__all__:
        return getattr(functions, name)
    known = [*__all__, *functions.__all__, *functions.SAME]
    return suggest.without("cnnrs.backend", functions.ABSENT, known)(name)
