"""What tests of float16 and bfloat16 share."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops

# The policies, and the type that each computes in.
HALVES = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
# The distance of 1 from the next number.
EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


def values_of(tensor: Any) -> np.ndarray:
    """The values of a tensor of any float type, as float32."""
    return np.asarray(ops.cast(tensor, "float32").numpy())
