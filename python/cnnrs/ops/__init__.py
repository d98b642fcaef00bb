"""Functions of tensors, with the names of `keras.ops`.

Where a docstring says tensor, a variable, a numpy array, nested lists and a number will do. Floating-point
numbers become float32 and integers int32, with an OverflowError where one does not fit; an array keeps its
dtype. What is not numeric raises a TypeError, lists of unequal length a ValueError. A dtype that is asked for
by name and that no tensor holds, such as "complex64", raises a TypeError.

The common dtype of several tensors is `backend.result_type` of theirs: the widest in the order bool,
integers, float16 or bfloat16, float32, float64; float16 and bfloat16 have float32 in common. A Python number
beside a tensor of floats takes its dtype; an integer beside a uint8 tensor counts as uint8 if it fits.
float16 and bfloat16 are storage: a function computes in float32, and rounds its result once, to the common
dtype of its tensors. Where "float32 tensor" is said of a result, it is of the common dtype if that is
another float type, such as float64.
Integers wrap around where a result exceeds their type. Shapes broadcast as numpy's do: they are aligned at
the last axis, and an extent of 1 repeats. Negative axes count from the end.

A function records what is to be computed and returns at once. Errors that depend on values, such as an
index out of range, come when a result is read. On symbolic tensors a function records a node of a
functional model.

>>> import numpy as np
>>> from cnnrs import Input, ops
>>> float(ops.sum(np.ones((2, 3))))
6.0
>>> ops.add(ops.array([1, 2]), 0.5).tolist()
[1.5, 2.5]
>>> ops.reshape(Input((4, 4, 2)), (-1, 32)).shape
(None, 32)
"""

from __future__ import annotations

from typing import Any

from cnnrs.ops import image as image
from cnnrs.ops import linalg as linalg
from cnnrs.ops import methods as methods  # which tensors get from here
from cnnrs.ops import nn as nn
from cnnrs.ops import raw as raw
from cnnrs.ops.arrays import *  # noqa: F403 - the namespace is their union
from cnnrs.ops.bits import *  # noqa: F403
from cnnrs.ops.boxes import *  # noqa: F403
from cnnrs.ops.complex_pairs import *  # noqa: F403
from cnnrs.ops.contraction import *  # noqa: F403
from cnnrs.ops.control import *  # noqa: F403
from cnnrs.ops.core import *  # noqa: F403
from cnnrs.ops.creation import *  # noqa: F403
from cnnrs.ops.custom_gradients import *  # noqa: F403
from cnnrs.ops.distances import *  # noqa: F403
from cnnrs.ops.einops import *  # noqa: F403
from cnnrs.ops.elementwise import *  # noqa: F403
from cnnrs.ops.factorization import *  # noqa: F403
from cnnrs.ops.forward_mode import *  # noqa: F403
from cnnrs.ops.fourier import *  # noqa: F403
from cnnrs.ops.indexing import *  # noqa: F403
from cnnrs.ops.joining import *  # noqa: F403
from cnnrs.ops.matrix_products import *  # noqa: F403
from cnnrs.ops.movement import *  # noqa: F403
from cnnrs.ops.nans import *  # noqa: F403
from cnnrs.ops.nn import *  # noqa: F403
from cnnrs.ops.parts import *  # noqa: F403
from cnnrs.ops.products import *  # noqa: F403
from cnnrs.ops.quantiles import *  # noqa: F403
from cnnrs.ops.reductions import *  # noqa: F403
from cnnrs.ops.scans import *  # noqa: F403
from cnnrs.ops.scattering import *  # noqa: F403
from cnnrs.ops.shapes import *  # noqa: F403
from cnnrs.ops.sorting import *  # noqa: F403
from cnnrs.ops.spaces import *  # noqa: F403
from cnnrs.ops.special import *  # noqa: F403
from cnnrs.ops.windows import *  # noqa: F403

_ABSENT = {
    "gammainc": "use scipy.special.gammainc on tensor.numpy()",
    "numpy": "its functions are those of cnnrs.ops",
}


def __getattr__(name: str) -> Any:
    from cnnrs.base.suggest import did_you_mean, no_attribute

    if name in _ABSENT:
        raise no_attribute("cnnrs.ops", name, f", which Keras has: {_ABSENT[name]}")
    raise no_attribute("cnnrs.ops", name, did_you_mean(name, globals()))
