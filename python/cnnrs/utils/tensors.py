"""What a tensor is: symbolic or not, and of which element type."""

from __future__ import annotations

from typing import Any

from cnnrs import symbolic
from cnnrs.base import dtypes

__all__ = ["is_keras_tensor", "standardize_dtype"]


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is a symbolic tensor.

    >>> import cnnrs
    >>> cnnrs.utils.is_keras_tensor(cnnrs.Input((2,)))
    True
    """
    return isinstance(x, symbolic.KerasTensor)


def standardize_dtype(dtype: Any) -> str:
    """The name of an element type that tensors hold; "float32" for None.

    >>> from cnnrs import utils
    >>> utils.standardize_dtype(float), utils.standardize_dtype("bfloat16")
    ('float32', 'bfloat16')
    """
    return dtypes.standardize_dtype(dtype)
