"""`tf.types`: names for annotations.

>>> import cnnrs.compat.tf as tf
>>> isinstance(tf.constant(1.0), tf.types.experimental.Tensor)
True
"""

from __future__ import annotations

from typing import Any

from cnnrs.compat.tf.functions import Function
from cnnrs.compat.tf.namespaces import unknown
from cnnrs.compat.tf.tensors import Tensor

__all__ = ["experimental"]


class experimental:
    """`tf.types.experimental`."""

    Tensor = Tensor
    TensorLike = Any
    GenericFunction = Function
    PolymorphicFunction = Function


__getattr__ = unknown("tf.types", {}, __all__)
